"""Layers script: what every hidden state makes of the texts, in torch and transformers alone, one batch after another."""

from __future__ import annotations

import json
from string import Template
from typing import TYPE_CHECKING

from bertlens.read.sample import TOKENS
from bertlens.run import fresh
from bertlens.run.condition import Condition
from bertlens.run.texts import Texts
from bertlens.show.pooling_script import AT_ONCE, POOLED
from bertlens.show.runs import attention_of
from bertlens.show.script import imports, loaded, named

if TYPE_CHECKING:
    from bertlens.run.architecture import Architecture

PASSES = '''\
@torch.inference_mode()
def passes(model, texts, limit):
    """The hidden states of every batch, (states, batch, tokens, hidden), and which tokens are real or special."""
    for start in range(0, len(texts), $batch):
        batch = tokenizer(
            texts[start : start + $batch],
            padding=True,
            truncation=True,
            max_length=limit,
            return_special_tokens_mask=True,$no_segments
            return_tensors="pt",
        )
        special = batch.pop("special_tokens_mask")
        out = model(**batch, output_hidden_states=True)
        states = list(out.hidden_states)
        if not torch.equal(states[-1], out.last_hidden_state):  # a last norm stands between
            states.append(out.last_hidden_state)
        yield torch.stack(states), batch["attention_mask"], special


'''

MEASURED = '''\
def measures(states):
    """Norm, relative change, cosine to the previous and to the last state; states is (states, vectors, hidden)."""
    norm = states.norm(dim=-1)
    unit = torch.nn.functional.normalize(states, dim=-1)
    change = (states[1:] - states[:-1]).norm(dim=-1) / norm[:-1]
    first = torch.full_like(norm[:1], torch.nan)
    to_previous = torch.cat([first, (unit[1:] * unit[:-1]).sum(-1)])
    found = [norm, torch.cat([first, change]), to_previous, (unit * unit[-1]).sum(-1)]
    return dict(zip(("norm", "change", "to_previous", "to_last"), found))


def tell(name, values):
    """One line: what it is, and its numbers."""
    print(f"{name}  [{', '.join(f'{value:.8g}' for value in values.reshape(-1).tolist())}]")


'''

SAMPLED = '''\
def drawn(texts, limit):
    """Tokens that are not special, as numbers of text and place, and which pairs of them are unrelated."""
    rows = tokenizer(texts, truncation=True, max_length=limit, return_special_tokens_mask=True)
    marks = enumerate(rows["special_tokens_mask"])
    every = [(text, place) for text, row in marks for place, special in enumerate(row) if not special]
    if len(every) > $tokens:  # drawn evenly, always the same
        some = torch.randperm(len(every), generator=torch.Generator().manual_seed(0))[:$tokens]
        every = [every[at] for at in sorted(some.tolist())]
    ids = torch.tensor([rows["input_ids"][text][place] for text, place in every])
    of = torch.tensor([text for text, _ in every])
    # another token, from another text where there are several
    return every, (ids[:, None] != ids) & ((of[:, None] != of) | (len(of.unique()) == 1))


def taken(states, every, start):
    """Those of the drawn tokens that are in a batch, whose first text has the number `start`."""
    here = [(text - start, place) for text, place in every if start <= text < start + states.shape[1]]
    row, place = torch.tensor(here, dtype=torch.long).reshape(-1, 2).T
    return states[:, row, place].double()


def alike(name, sample, pairs):
    """How alike the directions of unrelated tokens are, before and after their mean vector is taken off."""
    for state, x in enumerate(sample if pairs.any() else []):
        unit = torch.nn.functional.normalize(x, dim=1)
        apart = torch.nn.functional.normalize(x - x.mean(0), dim=1)
        cosines = (unit @ unit.T)[pairs.triu()]
        tell(f"{name} {state}  mean", cosines.mean())
        tell(f"{name} {state}  quantiles", cosines.quantile(torch.tensor($quantiles).double()))
        tell(f"{name} {state}  centred", (apart @ apart.T)[pairs].mean())
        adds = (unit * (pairs.double() @ unit)).sum(0) / pairs.sum()  # what each unit adds to the mean
        most, units = adds.topk(3)
        tell(f"{name} {state}  units {units.tolist()} add", most)


def cka(sample, debiased=False):
    """Linear CKA of every two states, (states, states); debiased, tokens are not compared with themselves."""
    x = sample - sample.mean(1, keepdim=True)
    rounding = x.abs().amax((1, 2), keepdim=True) <= 1e-12 * sample.abs().amax((1, 2), keepdim=True)
    x = x.masked_fill(rounding, 0)
    grams = x @ x.transpose(1, 2)
    if debiased:
        count, diagonal = grams.shape[1], torch.eye(grams.shape[1], dtype=torch.bool)
        grams = grams.masked_fill(diagonal, 0)
        rows = grams.sum(2, keepdim=True)
        apart = rows.sum(1, keepdim=True) / ((count - 1) * (count - 2)) - (rows + rows.transpose(1, 2)) / (count - 2)
        grams = (grams + apart).masked_fill(diagonal, 0)
    grams = grams.flatten(1)
    grams = grams / grams.norm(dim=1, keepdim=True)
    return grams @ grams.T


'''

COLLECT = """\
every, pairs = drawn(texts, limit)
sample, vectors, moved, members = [], [], [], []  # by batch, by batch, by text, by text
for states, mask, special in passes(model, texts, limit):
    sample.append(taken(states, every, len(moved)))
    vectors.append(torch.stack([pooled(state, mask, special)[pooling] for state in states]))
    for row in range(len(mask)):
        real = mask[row].bool()
        tokens = states[:, row, real].double()
        if len(moved) == shown_text:
            shown = tokens[:, shown_token]
        moved.append(measures(tokens))
        content = special[row, real] == 0
        members.append({"real": content | True, "cls": torch.arange(len(content)) == 0, "content": content})

# how far tokens move: mean, smallest and largest of every group
for group in members[0]:
    inside = torch.cat([tokens[group] for tokens in members])
    for name in moved[0]:
        for state, x in enumerate(torch.cat([of_text[name] for of_text in moved], dim=1)[:, inside]):
            if len(x):
                tell(f"{group} {state}  {name}", torch.stack([x.mean(), x.min(), x.max()]))

# one text token by token, and the first units of one token
for name, values in moved[shown_text].items():
    for state, x in enumerate(values):
        tell(f"tokens {state}  {name}", x)
for state, units in enumerate(shown):
    tell(f"units {state}", units[:6])
"""

VECTORS = """\
# the vectors of the texts, (states, texts, hidden)
vectors = torch.cat(vectors, dim=1).double()
for name, values in measures(vectors).items():
    for state, x in enumerate(values):
        tell(f"vectors {state}  {name}", x)
units = torch.nn.functional.normalize(vectors, dim=-1)
for number, x in enumerate(units[shown_state] @ units[shown_state].T):
    tell(f"cosines of text {number}", x)
there = vectors.isfinite().all(2).all(0)  # without tokens to read a text has no vector
if there.sum() > 1:
    one, other = torch.triu_indices(there.sum(), there.sum(), 1)
    for state, x in enumerate(units[:, there]):
        cosines = (x[one] * x[other]).sum(1)
        tell(f"vectors {state}  pairs", torch.stack([cosines.mean(), cosines.min(), cosines.max()]))
if there.any():
    # one plane for all texts in all states; the largest weight of an axis counts as positive
    cloud = vectors[:, there].flatten(0, 1)
    cloud = cloud - cloud.mean(0)
    _, size, axes = torch.linalg.svd(cloud, full_matrices=False)
    axes = axes[:2] * axes[:2].gather(1, axes[:2].abs().argmax(1, keepdim=True)).sign()
    tell("plane  explained", (size**2 / (size**2).sum())[:2])
    for number, way in enumerate((cloud @ axes.T).unflatten(0, (len(vectors), -1)).transpose(0, 1)):
        tell(f"plane  way {number}", way)

sample = torch.cat(sample, dim=1)
alike("unrelated", sample, pairs)
for name, debiased, least in (("CKA", False, 2), ("debiased CKA", True, 4)):
    for state, x in enumerate(cka(sample, debiased) if sample.shape[1] >= least else []):
        tell(f"{name} {state}", x)
"""

CONTROL = '''\

def sampled(model, texts, limit):
    """Drawn tokens, (states, tokens, hidden), and which pairs of them are unrelated."""
    every, pairs = drawn(texts, limit)
    found, start = [], 0
    for states, _, _ in passes(model, texts, limit):
        found.append(taken(states, every, start))
        start += states.shape[1]
    return torch.cat(found, dim=1), pairs


# the same of sentences that have nothing in common, and of weights that nobody trained
unrelated = [
$unrelated
]
alike("control", *sampled(model, unrelated, $control))
torch.manual_seed(0)
fresh = AutoModel.from_config(model.config, dtype=torch.float32).eval()
alike("fresh", *sampled(fresh, texts[:$few], $beginnings))
'''


def layers_script(
    checkpoint: str,
    texts: Texts,
    *,
    pooling: str,
    architecture: Architecture,
    max_length: int,
    text: int = 0,
    token: int = 0,
    state: int = -1,
    baseline: bool = True,
    batch: int = AT_ONCE,
) -> str:
    """Every hidden state of the texts as a Python file: how tokens and vectors move, how alike they are, CKA, the plane.

    Its numbers are those of `bertlens.layers` and `bertlens.token_path` up to the rounding of float32: the batches differ.

    Parameters
    ----------
    pooling : which vectors of the texts are followed through the states, a key of `POOLINGS` that reads states.
    max_length : tokens at which texts are truncated, `Checkpoint.max_length`.
    text, token : the text that is measured token by token, and its token whose first units are printed.
    state : in which the cosine of every two texts is printed.
    baseline : whether sentences without anything in common and freshly drawn weights are measured as well.
    batch : texts in a forward pass; only rounding depends on it.
    """
    from bertlens.read.geometry import QUANTILES

    values = {
        "batch": batch,
        "no_segments": "" if architecture.segments else "\n            return_token_type_ids=False,",
        "tokens": TOKENS,
        "quantiles": QUANTILES,
    }
    parts = [
        '"""What does every layer do to the texts? Vectors, tokens and their cosines in every hidden state."""\n',
        *imports(checkpoint),
        "",
        *named(checkpoint, texts),
        f"pooling, limit = {json.dumps(pooling)}, {max_length}  # which vectors, and at how many tokens texts are cut",
        f"shown_text, shown_token, shown_state = {text}, {token}, {state}",
        *loaded(attention_of(Condition(), architecture), "torch.float32", "cpu"),
        "\n",
        POOLED + Template(PASSES + MEASURED + SAMPLED).substitute(values) + COLLECT,
        VECTORS,
        *([_control(texts, max_length)] if baseline else []),
    ]
    return "\n".join(parts)


def _control(texts: Texts, max_length: int) -> str:
    """The lines that measure unrelated sentences and fresh weights, as `bertlens.run.fresh.few` runs them."""
    count = min(fresh.TEXTS, len(texts))
    return Template(CONTROL).substitute(
        unrelated="\n".join(f"    {json.dumps(text)}," for text in fresh.UNRELATED),
        control=min(max_length, fresh.TOKENS // len(fresh.UNRELATED)),
        few=fresh.TEXTS,
        beginnings=min(max_length, fresh.TOKENS // count),
    )
