"""Parting script: one text under two conditions, layer by layer and token by token, in torch and transformers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertlens.run.condition import Condition
from bertlens.run.texts import Texts
from bertlens.show.passes import Passes, axis_lost, indent
from bertlens.show.runs import Runs, attention_of
from bertlens.show.script import imports, loaded, named, wrapped

if TYPE_CHECKING:
    from bertlens.run.architecture import Architecture

WATCHED = '''\
def watch(model, keep, caught):
    """Append `keep` of what the MLP of every layer reads: the first linear module that runs after the attention."""
    attended, hooks = set(), []
    for layer in model.modules():
        parts = dict(layer.named_children())
        linear = {name: [x for x in part.modules() if isinstance(x, torch.nn.Linear)] for name, part in parts.items()}
        mixing = [name for name in parts if "attention" in name or "attn" in name]
        attentions = [parts[name] for name in mixing if linear[name]]
        others = [x for name in parts if name not in mixing for x in linear[name]]
        if not (attentions and others):
            continue

        def reads(_, given, layer=layer):
            if layer in attended and given:
                attended.remove(layer)
                caught.append(keep(given[0]).clone())

        hooks.append(layer.register_forward_pre_hook(lambda layer, _: attended.discard(layer)))
        hooks += [x.register_forward_hook(lambda *_, layer=layer: attended.add(layer)) for x in attentions]
        hooks += [x.register_forward_pre_hook(reads) for x in others]
    return hooks


'''

STATES = '''\
def states_of(model, batch, keep):
    """Name -> (positions, hidden): every state of one row; `keep` takes that row of a tensor."""
    caught = []
    hooks = watch(model, keep, caught)
    out = model(**batch, output_hidden_states=True)
    for hook in hooks:
        hook.remove()
    last, depth = keep(out.last_hidden_state), len(out.hidden_states) - 1
    states = {}
    for layer, state in enumerate(out.hidden_states):
        if layer and len(caught) == depth and all(x.shape == last.shape for x in caught):
            states[f"layer {layer} attention"] = caught[layer - 1]
        states[f"layer {layer}" if layer else "embeddings"] = keep(state)
    if not torch.equal(keep(state).nan_to_num(), last.nan_to_num()):  # a last norm stands between
        states["last_hidden_state"] = last
    return states


'''

TOLD = """\
sides = {"reference": left, "candidate": right}
for side, (ids, real, states) in sides.items():
    print(f"{side}  padding {(~real).sum().item()}  tokens {tokenizer.convert_ids_to_tokens(ids.tolist())}")
    for name, state in states.items():
        print(f"{side}  {name}  norms {state.double().norm(dim=-1).tolist()}")

# tokens are aligned by what they are, never by their position; padding is left out
rows = [ids[real].tolist() for ids, real, _ in sides.values()]
blocks = difflib.SequenceMatcher(None, *rows, autojunk=False).get_matching_blocks()
pairs = [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
one, other = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
tokens = tokenizer.convert_ids_to_tokens([rows[0][at] for at, _ in pairs])
print(f"aligned  {tokens}")
first = "nowhere"
for name in [name for name in left[2] if name in right[2]]:
    a, b = (states[name][real]{cast}.double() for _, real, states in sides.values())
    {bound}
    a, b = a[one], b[other]
    gap = (a - b).abs().masked_fill((a == b) | (a.isnan() & b.isnan()), 0).amax(1)
    print(f"{name}  bound {bound!r}  max abs {gap.tolist()}")
    if first == "nowhere" and not (gap <= bound).all():  # NaN is beyond every bound
        most = gap.nan_to_num(nan=torch.inf).argmax().item()
        first = f"in {name}, most at token {most} {tokens[most]!r}"
print(f"first part {first}")
"""

ROUNDING = "bound = {bound!r} * torch.finfo(torch.float64).eps * a.nan_to_num(0, 0, 0).abs().max().item()  # of rounding"


def parting_script(
    checkpoint: str,
    texts: Texts,
    text: int,
    reference: Condition,
    candidate: Condition,
    *,
    architecture: Architecture,
    max_length: int,
    float64: bool = True,
    seed: int = 0,
) -> str:
    """Where one text parts under two conditions, as a Python file: per state and token the largest difference of a unit.

    Its numbers are those of `bertlens.where_they_part`, what the MLP of each layer reads included.

    Parameters
    ----------
    text : which of the texts.
    max_length : tokens at which `max_length=model` truncates, `Checkpoint.max_length`.
    float64 : run both sides in float64 on the CPU, so that only another computation shows; else as their conditions say.
    seed : of dropout; the candidate draws with seed + 1.
    """
    from bertlens.judge.measures import BOUND

    sides = (reference, candidate)
    bodies = [_body(Passes(side, texts, architecture, max_length, tokens=True), text) for side in sides]
    runs = Runs(sides, architecture, "cpu", seed, shared=bodies[0] == bodies[1])
    dtype = "float64" if float64 else None
    doubles = any(runs.double(at, dtype) for at in (0, 1))
    bound = ROUNDING.format(bound=BOUND) if float64 else "bound = 0.0  # as run, nothing is set aside for rounding"
    told = TOLD.replace("{bound}", bound, 1).replace("{cast}", "" if float64 else ".float()")
    parts = [
        '"""In which layer, and at which token, do two runs of one text first differ?',
        "",
        *wrapped(f"Reference:  {reference.words}"),
        *wrapped(f"Candidate:  {candidate.words}"),
        "",
        f"Text {text} is compared{' in float64: what is left of a difference is no rounding' if float64 else ' as it ran'}.",
        '"""\n',
        *imports(checkpoint, *([] if runs.plain else ["copy"]), "difflib", mode=doubles),
        "",
        *named(checkpoint, texts),
        *loaded(attention_of(reference, architecture), "torch.float32", "cpu"),
        "",
        "",
        *runs.helpers(double=doubles),
        WATCHED.rstrip("\n"),
        "",
        "",
        STATES.rstrip("\n"),
        "",
        "",
        *_functions(runs, bodies),
        *(["model.double()"] if runs.plain and float64 else []),
        *runs.both("left", "right", dtype, ""),
        "",
        "",
        told,
    ]
    return "\n".join(parts)


def _body(passes: Passes, text: int) -> list[str]:
    """The body of a function that runs the pass in which the text stands and keeps its row."""
    lines, row = passes.of_text(text)
    lines.append(f'ids, real = batch["input_ids"][{row}], mask[{row}].bool()')
    keep = f"x[{row}]"
    if passes.condition.rows == "index":
        lines += axis_lost("batch", str(row))
        keep = "x[:, 0]"
    return [*lines, f"return ids, real, states_of(model, batch, lambda x: {keep})"]


def _functions(runs: Runs, bodies: list[list[str]]) -> list[str]:
    """A function of `model` per side, one where both do the same."""
    lines: list[str] = []
    for name, body in dict(zip(runs.names, bodies, strict=True)).items():
        says = '"""The ids of the row, which of them are no padding, and its states."""'
        lines += ["@torch.inference_mode()", f"def {name}(model):", *indent([says, *body]), "", ""]
    return lines
