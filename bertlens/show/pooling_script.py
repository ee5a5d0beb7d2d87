"""Pooling script: every way to make one vector of a text, from one forward pass, in torch and transformers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bertlens.read.readout import Readout
from bertlens.run.condition import Condition
from bertlens.run.texts import Texts
from bertlens.show.passes import Passes, Reading
from bertlens.show.runs import attention_of
from bertlens.show.script import imports, loaded, named, wrapped

if TYPE_CHECKING:
    from bertlens.run.architecture import Architecture

POOLED = '''\
def pooled(state, mask, special):
    """Every pooling of one hidden state (batch, tokens, hidden), each (batch, hidden)."""
    real = mask.unsqueeze(-1).to(state.dtype)
    content = (mask * (1 - special)).unsqueeze(-1).to(state.dtype)  # without [CLS] and [SEP]
    position = torch.arange(1, mask.shape[1] + 1).unsqueeze(-1) * real
    rows, last = torch.arange(len(state)), mask.shape[1] - 1
    return {
        "cls": state[rows, mask.argmax(1)],
        "mean": (state * real).sum(1) / real.sum(1),
        "mean_all": state.mean(1),
        "mean_content": (state * content).sum(1) / content.sum(1),
        "max": state.masked_fill(real == 0, -torch.inf).amax(1),
        "mean_sqrt_len_tokens": (state * real).sum(1) / real.sum(1).sqrt(),
        "weightedmean": (state * position).sum(1) / position.sum(1),
        "lasttoken": state[rows, last - mask.flip(1).argmax(1)],
        "first_position": state[:, 0],
    }


'''

COMPARED = '''\
for name, x in vectors.items():
    length = x.norm(dim=1)
    print(f"readout {name}  shape {tuple(x.shape)}  mean norm {length.mean().item():.6g}")


def cosines(x):
    """Cosine similarity of all texts, (texts, texts)."""
    x = torch.nn.functional.normalize(x.double(), dim=1)
    return x @ x.T


def ranks(x):
    """The rank of every number, equal ones sharing theirs."""
    return (x.unsqueeze(1) > x).sum(1) + ((x.unsqueeze(1) == x).sum(1) - 1) / 2


count = len(texts)
if count > 1:
    pairs = torch.triu_indices(count, count, 1)
    similar = {name: cosines(x) for name, x in vectors.items()}
    for name, x in similar.items():
        nearest = x.masked_fill(torch.eye(count, dtype=torch.bool), -torch.inf).argmax(1)
        print(f"nearest {name}  {nearest.tolist()}")
    if count > 2:
        order = {name: ranks(x[tuple(pairs)]) for name, x in similar.items()}
        for i, (a, left) in enumerate(order.items()):
            for b, right in list(order.items())[i + 1 :]:
                agreement = torch.corrcoef(torch.stack([left, right]))[0, 1].item()
                print(f"rank agreement {a}  {b}  {agreement:.6f}")
'''

LINEAR = """\
# into a linear layer: a fresh one is another one at every draw
for seed in {seeds}:
    torch.manual_seed(seed)
    layer = torch.nn.Linear(vectors[{readout!r}].shape[1], {classes})
    with torch.inference_mode():
        print(f"logits seed {{seed}}  {{layer(vectors[{readout!r}].float()).tolist()}}")
"""


def pooling_script(
    checkpoint: str,
    texts: Texts,
    readouts: Sequence[Readout],
    condition: Condition,
    *,
    architecture: Architecture,
    max_length: int,
    head: Readout | None = None,
    classes: int = 5,
    seeds: tuple[int, ...] = (0, 1, 2),
) -> str:
    """Every readout of the texts as a Python file: shapes, norms, nearest texts, rank agreement, and a fresh linear layer.

    Parameters
    ----------
    head : the readout that goes into the linear layer; the first one where nothing is given.
    classes, seeds : of the linear layers.
    """
    reading = Reading(Readout("mean_content"), (), condition.side == "left", bare=False)
    passes = Passes(condition, texts, architecture, max_length, reading)
    lines = [line for line in passes.each(_collect(readouts)) if not line.strip().startswith("content = ")]
    parts = [
        '"""Every way to make one vector of a text, from one forward pass: which of them agree?',
        "",
        *wrapped(f"Condition:  {condition.words}"),
        '"""\n',
        *imports(checkpoint),
        "",
        *named(checkpoint, texts),
        *loaded(attention_of(condition, architecture), f"torch.{condition.dtype}", "cpu"),
        "",
        "",
        POOLED.rstrip("\n"),
        "",
        "",
        "every, last, pooler = [], [], []  # for every batch",
        *lines,
        "",
        "",
        "def of(pooling, layer=None):",
        '    """The vectors of a pooling in one of hidden_states, or in last_hidden_state, (texts, hidden)."""',
        "    found = last if layer is None else [states[layer] for states in every]",
        "    return torch.cat([poolings[pooling] for poolings in found])",
        "",
        "",
        "vectors = {",
        *(f'    "{readout}": {_expression(readout, architecture.layers)},' for readout in readouts),
        "}",
        COMPARED,
        LINEAR.format(seeds=seeds, readout=str(head or readouts[0]), classes=classes),
    ]
    return "\n".join(parts)


def _collect(readouts: Sequence[Readout]) -> list[str]:
    lines = [
        "with torch.inference_mode():",
        "    out = model(**batch, output_hidden_states=True)",
        "every.append([pooled(state, mask, special) for state in out.hidden_states])",
        "last.append(pooled(out.last_hidden_state, mask, special))",
    ]
    if any(readout.pooling == "pooler" for readout in readouts):
        lines.append("pooler.append(out.pooler_output)")
    return lines


def _expression(readout: Readout, depth: int) -> str:
    """The vectors of a readout as one expression."""
    layers = readout.indices(depth)
    if readout.pooling == "pooler":
        found = "torch.cat(pooler)"
    elif not readout.combine:
        found = f'of("{readout.pooling}"{f", {layers[0]}" if layers else ""})'
    else:
        parts = f'[of("{readout.pooling}", layer) for layer in {layers}]'
        joined = f"torch.cat({parts}, dim=1)"
        found = joined if readout.combine.startswith("concat") else f"torch.stack({parts}).{readout.combine}(0)"
    return f"torch.nn.functional.normalize({found}, dim=1)" if readout.l2 else found
