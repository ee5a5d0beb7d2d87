"""Pooling script: every way to make one vector of a text, from one forward pass, in torch and transformers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bertlens.read.readout import Readout
from bertlens.run.condition import Condition
from bertlens.run.presets import TRAP_TEXTS
from bertlens.run.texts import Texts
from bertlens.show.passes import WIDTH, Passes, axis_lost, indent
from bertlens.show.runs import Runs, attention_of
from bertlens.show.script import imports, loaded, named, wrapped
from bertlens.show.trap_script import trap_lines

if TYPE_CHECKING:
    from bertlens.judge.trap import PaddingTrap
    from bertlens.run.architecture import Architecture

AT_ONCE = 32
"""Texts in a batch where the condition puts all of them into one and there are more, as `bertlens.pooling` runs them."""

POOLED = '''\
def pooled(state, mask, special):
    """Every pooling of one hidden state (batch, tokens, hidden), each (batch, hidden)."""
    real = mask.unsqueeze(-1).to(state.dtype)
    content = (mask * (1 - special)).unsqueeze(-1).to(state.dtype)  # without [CLS] and [SEP]
    position = mask.cumsum(1).unsqueeze(-1) * real  # 1, 2, 3, … from the first token of the text
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

COMPARED = """\
for name, x in vectors.items():
    length = x.double().norm(dim=1)
    norms = [length.mean().item(), length.min().item(), length.max().item()]
    print(f"readout {name}  shape {tuple(x.shape)}  mean, least and largest norm {norms}")

# which texts are alike under each readout, and how far two readouts agree about it
count = len(compared)
pairs = torch.triu_indices(count, count, 1)
near, order = {}, {}
for name, x in vectors.items():
    unit = x[compared].double()
    unit = unit / unit.norm(dim=1, keepdim=True)
    cosines = unit @ unit.T
    others = cosines.nan_to_num(nan=-2).fill_diagonal_(-torch.inf)
    near[name] = others.argsort(dim=1, descending=True, stable=True)[:, : min(k, count - 1)]
    order[name] = ranks(cosines[tuple(pairs)])
    for text, (row, similar) in enumerate(zip(near[name], cosines)):
        print(f"near {name}  text {compared[text]}  {[compared[at] for at in row]}  {similar[row].tolist()}")
agreement = torch.corrcoef(torch.stack(list(order.values()))).reshape(len(vectors), -1) if count > 2 else None
for i, (one, left) in enumerate(vectors.items()):
    for j, (other, right) in list(enumerate(vectors.items()))[i + 1 :]:
        words = []
        if left.shape == right.shape:
            cosine = torch.nn.functional.cosine_similarity(left.double(), right.double()).mean().item()
            words.append(f"cosine {cosine!r}  max abs {(left - right).abs().max().item()!r}")
        if count > 2:
            words.append(f"rank agreement {agreement[i, j].item()!r}")
        if count > 1:
            common = (near[one][:, :, None] == near[other][:, None]).any(2).double().mean().item()
            words.append(f"overlap {common!r}")
        print(f"pair {one}  {other}  {'  '.join(words)}")
"""

RANKS = '''\
def ranks(x):
    """The rank of every number, equal ones (to 6 decimals, the rest is rounding) sharing theirs."""
    if x.isnan().any():
        return torch.full_like(x, torch.nan)
    _, place, count = x.round(decimals=6).unique(return_inverse=True, return_counts=True)
    return (count.cumsum(0) - (count - 1) / 2)[place].double()


'''

WIDENED = '''\
def widened(poolings):
    """Vectors of 16 bits in float32; others as they are."""
    return {name: x.to(torch.promote_types(x.dtype, torch.float32)) for name, x in poolings.items()}

'''

LINEAR = """\
# into a linear layer: a fresh one is another one at every draw
for seed in {seeds}:
    torch.manual_seed(seed)
    layer = torch.nn.Linear(vectors["{readout}"].shape[1], {classes})
    with torch.inference_mode():
        logits = layer(vectors["{readout}"].float())
    for text, row in enumerate(logits.tolist()):
        print(f"logits seed {{seed}}  text {{text}}  {{row}}")
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
    k: int | None = None,
    compared: Sequence[int] | None = None,
    trap: PaddingTrap | None = None,
    trap_texts: Texts = TRAP_TEXTS,
) -> str:
    """Every readout of the texts as a Python file: norms, nearest texts, agreement, a fresh linear layer, the padding trap.

    Its numbers are those of `bertlens.pooling` up to rounding, and those of `bertlens.padding_trap`.

    Parameters
    ----------
    head : the readout that goes into the linear layer; the first one where nothing is given.
    classes, seeds : of the linear layers.
    k : how many neighbours count; `Poolings.usual_k` where nothing is given.
    compared : the texts whose similarities are compared, `Poolings.compared`; all where nothing is given.
    trap : a padding trap to repeat, and `trap_texts` the texts it was asked for.
    """
    if condition.batch == "whole" and len(texts) > AT_ONCE:
        condition = condition.replace(batch=AT_ONCE)
    chosen = range(len(texts)) if compared is None else compared
    linear = head or readouts[0]
    trapped = [] if trap is None else [Readout.parse(one) for one in trap.poolings]
    runs = Runs((condition, Condition()), architecture, "cpu", 0, shared=True)
    double = runs.double(0, None) or (trap is not None and runs.double(1, "float64"))
    passes = Passes(condition, texts, architecture, max_length, tokens=True)
    names = list(dict.fromkeys(map(str, [*readouts, linear])))
    main = [f"vectors = vectors_of({runs.model(0, None)})"]
    parts = [
        '"""Every way to make one vector of a text, from one forward pass: which of them agree?',
        "",
        *wrapped(f"Condition:  {condition.words}"),
        '"""\n',
        *imports(checkpoint, *([] if runs.plain else ["copy"]), mode=double),
        "",
        *named(checkpoint, texts),
        f"compared = {_listed(chosen, len(texts))}  # the texts whose similarities are compared",
        f"k = {k or max(1, min(5, (len(chosen) - 1) // 2))}  # neighbours that count",
        *loaded(attention_of(condition, architecture), "torch.float32", "cpu"),
        "\n",
        *runs.helpers(double=double),
        POOLED + RANKS.rstrip("\n"),
        "\n",
        *reader([*map(Readout.parse, names), *trapped], architecture.layers, narrow=condition.dtype in ("bfloat16", "float16")),
        "\n",
        *vectors_function(passes, names, every=set(map(str, trapped)) <= set(names)),
        "\n",
        *(["with DoubleThroughout():", *indent(main)] if runs.double(0, None) else main),
        COMPARED,
        LINEAR.format(seeds=seeds, readout=linear, classes=classes),
    ]
    if trap is not None:
        used = trap_texts[: trap.texts]
        parts.append(trap_lines(runs, used, trap, max_length, segments=bool(architecture.segments)))
    return "\n".join(parts)


def _listed(chosen: Sequence[int], count: int) -> str:
    """The numbers of the compared texts, as short as they can be written."""
    if list(chosen) == list(range(count)):
        return "list(range(len(texts)))"
    even = [at * count // len(chosen) for at in range(len(chosen))]
    return f"[at * {count} // {len(chosen)} for at in range({len(chosen)})]" if even == list(chosen) else str(list(chosen))


def reader(readouts: Sequence[Readout], depth: int, *, narrow: bool) -> list[str]:
    """A function that reads the outputs of one forward pass; `narrow` where vectors of 16 bits are widened first."""
    wide = "widened({})" if narrow else "{}"
    lines = WIDENED.split("\n") if narrow else []
    lines += [
        "def read(out, mask, special):",
        '    """Readout -> (batch, dimensions) of one forward pass."""',
        f"    states = [{wide.format('pooled(state, mask, special)')} for state in out.hidden_states]",
        f"    last = {wide.format('pooled(out.last_hidden_state, mask, special)')}",
    ]
    if any(readout.pooling == "pooler" for readout in readouts):
        pooler = '{"pooler": out.pooler_output}'
        lines.append(f"    last |= {wide.format(pooler)}")
    lines.append("    return {")
    for readout in dict.fromkeys(readouts):
        lines += indent(_entry(readout, depth), 2)
    return [*lines, "    }"]


def _entry(readout: Readout, depth: int) -> list[str]:
    """The line of a readout in a dictionary, broken where it is too long."""
    found = _expression(readout, depth)
    if not readout.l2:
        return [f'"{readout}": {found},']
    line = f'"{readout}": torch.nn.functional.normalize({found}, dim=1),'
    return [line] if len(line) <= WIDTH else [f'"{readout}": torch.nn.functional.normalize(', f"    {found}, dim=1", "),"]


def _expression(readout: Readout, depth: int) -> str:
    """The vectors of a readout as one expression, before they are normalised."""
    layers = readout.indices(depth)
    step = 1 if readout.combine == "concat_reversed" else -1
    if not readout.combine:
        found = f'{f"states[{layers[0]}]" if layers else "last"}["{readout.pooling}"]'
    else:
        parts = f'[states[layer]["{readout.pooling}"] for layer in range({layers[0]}, {layers[-1] + step}, {step})]'
        joined = f"torch.cat({parts}, dim=1)"
        found = joined if readout.combine.startswith("concat") else f"torch.stack({parts}).{readout.combine}(0)"
    return found


def vectors_function(passes: Passes, names: Sequence[str], *, every: bool) -> list[str]:
    """A function of `model` that runs every batch and returns these readouts; `every` where `read` has no others."""
    if passes.condition.rows == "index":
        run = [
            *axis_lost("row", "i"),
            "part = read(model(**row, output_hidden_states=True), mask[i][:, None], special[i][:, None])",
            "# what is then taken for text i is sequence 0, its first token alone",
            "parts.append({name: x[:1] for name, x in part.items()})",
        ]
        if passes.condition.side == "left":
            run += [
                "if not mask[i, 0]:  # a row of padding alone has no vector",
                '    lost = [name for name in part if name.startswith(("cls", "max", "lasttoken"))]',
                "    parts[-1] |= {name: parts[-1][name] * torch.nan for name in lost}",
            ]
        body = ['for i in range(len(batch["input_ids"])):', *indent(run)]
    else:
        body = ["parts.append(read(model(**batch, output_hidden_states=True), mask, special))"]
    lines = [
        '"""Readout -> (texts, dimensions)."""',
        "parts = []",
        *passes.each(body),
        *([] if every else ["names = [", *(f'    "{name}",' for name in names), "]"]),
        f"return {{name: torch.cat([part[name] for part in parts]) for name in {'parts[0]' if every else 'names'}}}",
    ]
    return ["@torch.inference_mode()", "def vectors_of(model):", *indent(lines)]
