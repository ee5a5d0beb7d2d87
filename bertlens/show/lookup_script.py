"""Lookup script: the vectors before the first layer, fed back, edited and looked up again, in torch and transformers alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from bertlens.run.condition import Condition
from bertlens.run.texts import Texts, sides
from bertlens.show import edit_lines
from bertlens.show.passes import indent
from bertlens.show.pooling_script import POOLED
from bertlens.show.runs import attention_of
from bertlens.show.script import imports, loaded, named

if TYPE_CHECKING:
    from bertlens.judge.lookup import Lookup
    from bertlens.judge.positions import Padded
    from bertlens.run.architecture import Architecture

HELPERS = '''\
def encoded(some, **options):
    """Texts as tensors, and which tokens are special."""
    how = {"truncation": True, "return_special_tokens_mask": True, "return_tensors": "pt"}$options
    batch = tokenizer(some, **how, **options)
    return batch, batch.pop("special_tokens_mask")


def tell(name, values):
    """One line: what it is, and its numbers."""
    print(f"{name}  {values.double().reshape(-1).tolist()}")


def cosine(left, right):
    """Cosine per row, in float64; 1 where both rows are the same to the last bit."""
    a, b = left.double(), right.double()
    lengths = a.norm(dim=1) * b.norm(dim=1)
    same = (a.view(torch.int64) == b.view(torch.int64)).all(1) & (lengths > 0)
    return torch.where(same, 1.0, ((a * b).sum(1) / lengths).clamp(-1, 1))


def against(name, out, usual, real):
    """How far real tokens lie from the usual run in last_hidden_state: max abs, cosine of [CLS], least cosine."""
    left, right = usual.last_hidden_state[0][real], out.last_hidden_state[0][real]
    cosines = cosine(left, right)
    tell(name, torch.stack([(left.double() - right.double()).abs().max(), cosines[0], cosines.min()]))


'''

RUN = """\
batch, special = encoded([texts[text]], max_length=limit)
ids, mask = batch["input_ids"][0], batch["attention_mask"]
segments = batch.get("token_type_ids", torch.zeros_like(mask))[0]
rest = {name: x for name, x in batch.items() if name != "input_ids"}
usual = model(**batch, output_hidden_states=True)
real = mask[0].bool()

# the vectors that are added, in the order in which the model adds them, and what is done with the sum
module = model.get_submodule
parts = {
$parts
}
values = list(parts.values())
vectors = parts | {"sum": sum(values[1:], values[0])}
$steps
gap = (vectors["$last"] - usual.hidden_states[0][0]).abs().max()
print(f"max abs to hidden_states[0]  {gap.item()!r}")
for name, x in vectors.items():
    tell(f"norm of {name}", x.double().norm(dim=1))
added = list(parts | {"sum": vectors["sum"]}) if len(parts) > 1 else []
for at, one in enumerate(added):
    for other in added[at + 1 :]:
        tell(f"cosine {one} · {other}", cosine(vectors[one], vectors[other]))

# fed back: inputs_embeds takes the place of the lookup alone
against("fed the lookup", model(inputs_embeds=model.get_input_embeddings()(ids)[None], **rest), usual, real)
twice = model(inputs_embeds=$again, **rest)
against("fed $twice", twice, usual, real)
"""

PADDED = """\
# a padded row as ids, as vectors, and as vectors with the positions of the ids
for side in ("right", "left"):
    tokenizer.padding_side = side
    row, _ = encoded([texts[text]], max_length=$length)
    row = tokenizer.pad(row, padding="max_length", max_length=$width, return_tensors="pt")
    there = row["attention_mask"]
    others = {name: x for name, x in row.items() if name != "input_ids"}
    whole, lookup = model(**row), model.get_input_embeddings()(row["input_ids"])
    against(f"padding {side}", model(inputs_embeds=lookup, **others), whole, there[0].bool())$positions
tokenizer.padding_side = "right"
"""


def lookup_script(
    checkpoint: str,
    texts: Texts,
    found: Lookup,
    *,
    architecture: Architecture,
    max_length: int,
    edits: str = "",
    vectors: Mapping[str, np.ndarray] | None = None,
    padded: Padded | None = None,
    pooling: str = "cls",
    token: int = 0,
    near: str = "cosine",
    k: int = 10,
) -> str:
    """What the page shows of one text as a Python file: the parts, fed back, padded, edited, and near which entries.

    Parameters
    ----------
    found : the lookup of the text, from which the tables are named.
    max_length : tokens at which texts are truncated, `Checkpoint.max_length`.
    edits, vectors : as `bertlens.edit` takes them.
    padded : what `padded_vectors` found; None leaves the padded rows out.
    pooling : of the vectors of the texts.
    token, near, k : whose nearest entries are printed, by "cosine" or "dot", and how many.
    """
    options = "" if architecture.segments else '\n    how["return_token_type_ids"] = False'
    run = [
        Template(RUN).substitute(_taken_apart(found)),
        *([_padded(padded, len(found.tokens), max_length)] if padded is not None else []),
        *([_positions(texts[found.text], architecture)] if architecture.takes_positions else []),
        *([SEGMENTS] if architecture.segments > 1 else []),
        edit_lines.edited(edits, vectors or {}, others=len(texts) > 1),
        edit_lines.nearest(near, k, several=len(found.embedding.parts) > 1),
    ]
    parts = [
        '"""Where do the vectors before the first layer come from, and what does an edit of them do?"""\n',
        *imports(checkpoint, "math"),
        "",
        *named(checkpoint, texts),
        f"text, limit = {found.text}, {max_length}  # which text, and at how many tokens texts are cut",
        f"pooling, token = {json.dumps(pooling)}, {token}",
        *loaded(attention_of(Condition(), architecture), "torch.float32", "cpu"),
        "\n",
        POOLED + Template(HELPERS).substitute(options=options) + edit_lines.HELPERS + "with torch.inference_mode():",
        *indent(re.sub(r"\n{3,}", "\n\n", "\n".join(run)).strip().splitlines()),
    ]
    return "\n".join(parts) + "\n"


SEGMENTS = """
# token_type_ids of ones: everything is the second sentence
ones = model(**{**batch, "token_type_ids": torch.ones_like(batch["input_ids"])})
left, right = (pooled(out.last_hidden_state, mask, special)[pooling] for out in (usual, ones))
apart = (left.double() - right.double()).abs().max()
tell("segments all ones", torch.stack([apart, cosine(left, right)[0]]))
"""


def _taken_apart(found: Lookup) -> dict[str, str]:
    """The lines that look the parts up and carry out the steps."""
    embedding = found.embedding
    parts = []
    for part in embedding.parts:
        given = {"word": "ids", "segment": "segments"}.get(part.role)
        if given is None:
            first = part.ids[0]
            counted = part.ids == tuple(range(first, first + len(part.ids)))
            given = f"torch.arange({first}, {first} + len(ids))" if counted else f"torch.tensor({list(part.ids)})"
        parts.append(f'    "{part.role}": module("{part.module}")({given}),')
    steps, last = [], "sum"
    for step, name in zip(embedding.steps[1:], list(found.vectors)[len(parts) + 1 :], strict=True):
        steps.append(f'vectors["{name}"] = module("{step.module}")(vectors["{last}"][None])[0]')
        last = name
    twice = found.fed[1].name if len(found.fed) > 1 else "hidden_states[0]"
    inner = [name for name in found.vectors if name != "after projection"][-1]
    again = f'vectors["{inner}"][None]' if embedding.factorised else "usual.hidden_states[0]"
    return {"parts": "\n".join(parts), "steps": "\n".join(steps), "last": last, "twice": twice, "again": again}


def _padded(padded: Padded, tokens: int, max_length: int) -> str:
    """The lines that pad the row on both sides; a long one is cut first."""
    positions = ""
    if padded.positions:
        first = padded.positions["left", "ids"][0]
        own = f"(there.cumsum(1) + {first}) * there + {first} * (1 - there)  # padding has the row {first}"
        places = own if padded.arises else f"torch.arange({padded.tokens + padded.padding})[None]"
        call = "model(inputs_embeds=lookup, position_ids=places, **others)"
        if ("left", "position_ids") in padded.trials:
            mended = 'against(f"padding {side}, positions", mended, whole, there[0].bool())'
            lines = [f"places = {places}", f"mended = {call}", mended]
            positions = "\n" + "\n".join(indent(lines))
    length = padded.tokens if padded.tokens < tokens else max_length
    size = {"length": length, "width": padded.tokens + padded.padding, "positions": positions}
    return Template(PADDED).substitute(size)


def _positions(text: object, architecture: Architecture) -> str:
    """The lines that count the second sentence of a pair from its own start."""
    if len(sides(text)) < 2:  # type: ignore[arg-type]
        return ""
    first = max(architecture.first_position, 0)
    lines = [
        "",
        "# the second sentence counted from its own start",
        "content = [at for at, mark in enumerate(special[0]) if not mark]",
        "starts = [after for before, after in zip(content, content[1:]) if after > before + 1]",
        "if starts:",
        f"    places = torch.arange({first}, {first} + len(ids))",
        f"    places[starts[0] :] = torch.arange({first}, {first} + len(ids) - starts[0])",
        '    against("own positions", model(**batch, position_ids=places[None]), usual, real)',
    ]
    return "\n".join(lines)
