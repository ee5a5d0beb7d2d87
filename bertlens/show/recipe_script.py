"""Recipe script: the vectors of a recipe, in torch and transformers alone, from the texts to what was stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bertlens.read.logits import Logits
from bertlens.read.recipe import ARRIVALS, Recipe
from bertlens.run.headed import KINDS
from bertlens.run.texts import Texts
from bertlens.show.passes import Passes, indent
from bertlens.show.reading import Reading
from bertlens.show.runs import Runs, attention_of
from bertlens.show.script import imports, loaded, named, wrapped

if TYPE_CHECKING:
    from bertlens.read.post import Post
    from bertlens.run.architecture import Architecture

INT8 = {
    "columns": (
        "low, high = x.amin(0), x.amax(0)",
        "step = torch.where(high > low, (high - low) / 255, 1.0)",
        "x = ((x - low) / step - 128).trunc()",
    ),
    "unsigned": (
        "low, high = x.amin(0), x.amax(0)",
        "step = torch.where(high > low, (high - low) / 255, 1.0)",
        "x = ((x - low) / step).trunc()",
    ),
    "rows": (
        "step = x.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny) / 127",
        "x = (x / step).round()",
    ),
}
"""How int8 codes are made, by the keys of `bertlens.read.post.INT8`."""

SAVED = """\
torch.save(x, "vectors.pt")  # one row per text, in the order of the texts
for i, row in enumerate(x.double()):
    print(f"text {i}{where}  norm {row.norm().item()!r}  first {row[:4].tolist()}")
"""


def recipe_script(
    checkpoint: str,
    texts: Texts,
    recipe: Recipe,
    *,
    architecture: Architecture,
    max_length: int,
    rows: Sequence[int | None] | None = None,
) -> str:
    """A Python file that makes the vectors of a recipe, prints their norms and first components, and saves them.

    Its vectors are those of `bertlens.read.recipe.made` up to rounding, one row per text.

    Parameters
    ----------
    checkpoint : what the user named: "minilm", a folder or a Hub id.
    max_length : tokens at which `max_length=model` truncates, `Checkpoint.max_length`.
    rows : the row of each text in the vectors that were identified, for an arrival in the order of the rows.
    """
    condition, readout = recipe.condition, recipe.readout
    left = condition.side == "left"
    layers = readout.indices(architecture.layers)
    reading = Reading(readout, layers, left, bare=left and condition.rows == "index")
    auto = KINDS["sequence"].auto if isinstance(readout, Logits) else "AutoModel"
    put = recipe.texts(texts)
    passes = Passes(condition, put, architecture, max_length, reading)
    runs = Runs((condition, condition), architecture, "cpu", 0, shared=True)
    arrival = _arrival(recipe, passes, rows)
    double = runs.double(0, None)
    run = [f"x = vectors({runs.model(0, None)}).double()"]
    moved = rows is not None and list(rows) != list(range(len(texts)))
    parts = [
        '"""Vectors made by a recipe, from the texts to what is stored.',
        "",
        *wrapped(f"Recipe:     {recipe.words}"),
        *wrapped(f"Condition:  {condition.words}"),
        '"""\n',
        *imports(checkpoint, *([] if runs.plain else ["copy"]), mode=double, auto=auto),
        "",
        *named(checkpoint, texts),
        *_prepared(recipe, texts),
        *([f"row_of_text = {list(rows or ())}  # the row that holds each text in the vectors given"] if moved else []),
        *([f"layers = {layers}  # {readout.layers}, 0 is the embeddings"] if readout.combine else []),
        *loaded(attention_of(condition, architecture), "torch.float32", "cpu", auto),
        *arrival,
        "",
        "",
        *runs.helpers(double=double),
        *reading.function(),
        *runs.functions([passes.body()] * 2),
        *(["with DoubleThroughout():", *indent(run)] if double else run),
        *(["x[order] = x.clone()  # back into the order of the texts"] if arrival else []),
        *_after(recipe.post),
        SAVED.replace("{where}", " (row {row_of_text[i]})" if moved else ""),
    ]
    return "\n".join(parts)


def _prepared(recipe: Recipe, texts: Texts) -> list[str]:
    """Lines that put the prefix before each text, and lower-case it."""
    lines = []
    if recipe.prefix:
        lines.append(f"prefix = {recipe.prefix!r}")
        if all(isinstance(text, str) for text in texts):
            lines.append("texts = [prefix + text for text in texts]")
        else:  # of a pair, the first sentence gets it
            lines.append("texts = [prefix + t if isinstance(t, str) else (prefix + t[0], t[1]) for t in texts]")
    if recipe.lower:
        one = "t.lower() if isinstance(t, str) else (t[0].lower(), t[1].lower())"
        strings = all(isinstance(text, str) for text in texts)
        lines.append(f"texts = [{'text.lower() for text' if strings else one + ' for t'} in texts]")
    return lines


def _arrival(recipe: Recipe, passes: Passes, rows: Sequence[int | None] | None) -> list[str]:
    """Lines that put the texts into the order in which they came into their batches; none where it is their own."""
    arrival = recipe.arrival
    if arrival == "given" or (arrival == "rows" and rows is None):
        return []
    lines = ["", f"# {ARRIVALS[arrival]}"]
    if arrival == "rows":
        key = "row_of_text[i] is None, row_of_text[i] or 0"
        if rows is not None and list(rows) == list(range(len(rows))):
            return []
        lines.append(f"order = sorted(range(len(texts)), key=lambda i: ({key}))")
    else:
        if "characters" in arrival:
            lines.append('lengths = [len("".join(text)) for text in texts]')
        else:
            lines += [*passes.rows("texts"), 'lengths = [len(row) for row in rows["input_ids"]]']
        sign = "-" if arrival.startswith("most") else ""
        lines.append(f"order = sorted(range(len(texts)), key=lambda i: {sign}lengths[i])")
    return [*lines, "texts = [texts[i] for i in order]"]


def _after(post: Post) -> list[str]:
    """Lines for what is done to the vectors after they were read."""
    lines = []
    if post.centred:
        lines.append(f"x = x - x.mean({'0' if post.centred == 'texts' else '1'}, keepdim=True)")
    if post.dims is not None:
        lines.append(f"x = x[:, :{post.dims}]")
    if post.again:
        lines.append("x = torch.nn.functional.normalize(x, dim=1)")
    if post.sign:
        lines.append("x = x.abs()" if post.sign == "removed" else "x = x.sign()")
    if post.scale != 1.0:
        lines.append(f"x = x * {post.scale!r}")
    return [*lines, *_stored(post)]


def _stored(post: Post) -> list[str]:
    """Lines for the last step: the same numbers with fewer digits."""
    if post.store == "int8" and post.int8 in INT8:
        return [*INT8[post.int8], f"x = x.to(torch.{post.format})" if post.int8 != "rows" or post.codes else "x = x * step"]
    if post.store == "int8":
        codes = f"(x / {post.step!r}).round().clamp(-128, 127)"
        return [f"x = {codes}.to(torch.int8)" if post.step == 1.0 else f"x = {codes} * {post.step!r}"]
    if post.store:
        return [f"x = x.to(torch.{post.store})" if not post.store.isdigit() else f"x = x.round(decimals={post.store})"]
    return []
