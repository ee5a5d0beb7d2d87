"""Layers script: what every hidden state makes of the texts, in torch and transformers alone, one batch after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertlens.read.readout import Readout
from bertlens.read.sample import TOKENS
from bertlens.run.condition import Condition
from bertlens.run.texts import Texts
from bertlens.show.passes import Passes, Reading, indent
from bertlens.show.pooling_script import POOLED
from bertlens.show.runs import attention_of
from bertlens.show.script import imports, loaded, named, wrapped

if TYPE_CHECKING:
    from bertlens.run.architecture import Architecture

AT_ONCE = 32
"""Texts in a batch of the script; only rounding depends on it."""

MEASURED = '''\
def measures(states):
    """Norm, relative change, cosine to the previous and to the last state; states is (states, vectors, hidden)."""
    norm = states.norm(dim=-1)
    unit = torch.nn.functional.normalize(states, dim=-1)
    change = (states[1:] - states[:-1]).norm(dim=-1) / norm[:-1]
    first = torch.full_like(norm[:1], torch.nan)
    to_previous = torch.cat([first, (unit[1:] * unit[:-1]).sum(-1)])
    return torch.stack([norm, torch.cat([first, change]), to_previous, (unit * unit[-1]).sum(-1)])


'''

COLLECT = """\
with torch.inference_mode():
    out = model(**batch, output_hidden_states=True)
states = torch.stack(out.hidden_states)  # (states, batch, tokens, hidden); 0 is the embeddings
tied = tied and torch.equal(states[-1], out.last_hidden_state)
vectors.append(torch.stack([pooled(state, mask, special)[{pooling!r}] for state in states]))
for row in range(len(mask)):
    real = states[:, row, mask[row].bool()]
    moved.append(measures(real))
    sample += [real[:, place] for place in places.get(len(moved) - 1, [])]
"""

TOLD = """\
print("hidden_states[-1] is last_hidden_state", tied)
for state, (norm, change, previous, last) in enumerate(torch.cat(moved, dim=2).double().mean(2).T.tolist()):
    print(f"state {state}  norm {norm:.6g}  change {change:.6g}  to_previous {previous:.6g}  to_last {last:.6g}")
vectors = torch.cat(vectors, dim=1).double()  # (states, texts, hidden)
for state, (norm, change, previous, last) in enumerate(measures(vectors).mean(2).T.tolist()):
    print(f"{pooling} {state}  norm {norm:.6g}  change {change:.6g}  to_previous {previous:.6g}  to_last {last:.6g}")
if len(texts) > 1:
    one, other = torch.triu_indices(len(texts), len(texts), 1)
    for state, x in enumerate(torch.nn.functional.normalize(vectors, dim=-1)):
        print(f"{pooling} {state}  mean cosine of two texts {(x[one] * x[other]).sum(1).mean().item():.6g}")
# one plane for all texts in all states
cloud = vectors.flatten(0, 1)
left, size, axes = torch.linalg.svd(cloud - cloud.mean(0), full_matrices=False)
print("explained variance", [round(share, 6) for share in (size**2 / (size**2).sum())[:2].tolist()])
"""

TOKENS_TOLD = """\
# pairs of another token from another text
ids = torch.tensor(ids)
of = torch.tensor(of)
pairs = (ids[:, None] != ids[None]) & ((of[:, None] != of[None]) | (len(of.unique()) == 1))
sample = torch.stack(sample, dim=1).double()  # (states, tokens, hidden)
for state, x in enumerate(sample):
    unit = torch.nn.functional.normalize(x, dim=1)
    apart = torch.nn.functional.normalize(x - x.mean(0), dim=1)
    mean, centred = ((u @ u.T)[pairs].mean().item() for u in (unit, apart))
    adds = (unit * (pairs.double() @ unit)).sum(0) / pairs.sum()  # what each unit adds to the mean cosine
    print(f"state {state}  unrelated {mean:.6g}  centred {centred:.6g}  largest unit {adds.argmax().item()}")
grams = sample - sample.mean(1, keepdim=True)
grams = (grams @ grams.transpose(1, 2)).flatten(1)
grams = grams / grams.norm(dim=1, keepdim=True)
for state, row in enumerate((grams @ grams.T).tolist()):
    print(f"state {state}  CKA {[round(value, 6) for value in row]}")
"""


def layers_script(
    checkpoint: str, texts: Texts, *, pooling: str, architecture: Architecture, max_length: int, batch: int = AT_ONCE
) -> str:
    """Every hidden state of the texts as a Python file: how tokens and vectors move, how alike they are, CKA, the plane.

    Parameters
    ----------
    pooling : which vectors of the texts are followed through the states, a key of `POOLINGS` that reads states.
    """
    condition = Condition(batch=batch) if len(texts) > batch else Condition()
    reading = Reading(Readout("mean_content"), (), left=False, bare=False)
    passes = Passes(condition, texts, architecture, max_length, reading)
    body = COLLECT.format(pooling=pooling).rstrip("\n").split("\n")
    lines = [line for line in passes.each(body) if not line.strip().startswith("content = ")]
    parts = [
        '"""What does every layer do to the texts? Vectors, tokens and their cosines in every hidden state.',
        "",
        *wrapped(f"Vectors:    {pooling}"),
        '"""\n',
        *imports(checkpoint),
        "",
        *named(checkpoint, texts),
        *loaded(attention_of(condition, architecture), "torch.float32", "cpu"),
        "",
        "",
        POOLED.rstrip("\n"),
        "",
        "",
        MEASURED.rstrip("\n"),
        "",
        "",
        *_places(passes, max_length),
        "vectors, moved, sample, tied = [], [], [], True",
        *lines,
        "",
        TOLD.replace("{pooling}", pooling),
        "if pairs_there:",
        *indent(TOKENS_TOLD.rstrip("\n").split("\n")),
        "",
    ]
    return "\n".join(parts)


def _places(passes: Passes, max_length: int) -> list[str]:
    """Lines that choose the tokens of the sample, as `bertlens.read.sample` draws them."""
    return [
        f"# the sample: all tokens that are not special, or {TOKENS} drawn evenly from them",
        f"rows = tokenizer(texts, truncation=True, max_length={max_length}, return_special_tokens_mask=True)",
        'marks = enumerate(rows["special_tokens_mask"])',
        "every = [(text, place) for text, row in marks for place, special in enumerate(row) if not special]",
        f"if len(every) > {TOKENS}:",
        f"    drawn = torch.randperm(len(every), generator=torch.Generator().manual_seed(0))[:{TOKENS}]",
        "    every = [every[at] for at in sorted(drawn.tolist())]",
        "places = {text: [at for other, at in every if other == text] for text, _ in every}",
        "of = [text for text, _ in every]",
        'ids = [rows["input_ids"][text][place] for text, place in every]',
        "pairs_there = len(set(ids)) > 1",
        "",
    ]
