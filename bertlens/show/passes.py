"""Passes: the forward passes of one condition, written as a person writes them in torch and transformers.

Every line stands for a key of the condition that is not at its default; a default condition leaves the plain idiom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertlens.run.condition import Condition
from bertlens.run.texts import Texts

if TYPE_CHECKING:
    from bertlens.read.readout import Readout
    from bertlens.run.architecture import Architecture

WIDTH = 110
"""Columns after which a call is written one argument per line."""

INLINE = {"cls": "{}[:, 0]", "first_position": "{}[:, 0]", "mean_all": "{}.mean(1)"}
"""Poolings that need no mask; `cls` only where padding stands on the right."""

BODIES: dict[str, tuple[str, ...]] = {
    "cls": ("vectors = state[torch.arange(len(state)), mask.argmax(1)]",),
    "lasttoken": ("vectors = state[torch.arange(len(state)), mask.shape[1] - 1 - mask.flip(1).argmax(1)]",),
    "max": ("vectors = state.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).amax(1)",),
    "mean": (
        "weights = mask.unsqueeze(-1).to(state.dtype)",
        "vectors = (state * weights).sum(1) / weights.sum(1)",
    ),
    "mean_sqrt_len_tokens": (
        "weights = mask.unsqueeze(-1).to(state.dtype)",
        "vectors = (state * weights).sum(1) / weights.sum(1).sqrt()",
    ),
    "weightedmean": (
        "weights = (mask * mask.cumsum(1)).unsqueeze(-1).to(state.dtype)",
        "vectors = (state * weights).sum(1) / weights.sum(1)",
    ),
}
BODIES["mean_content"] = BODIES["mean"]


def indent(lines: list[str], by: int = 1) -> list[str]:
    """The lines, `by` levels of four spaces to the right."""
    return [" " * 4 * by + line if line else line for line in lines]


def call(before: str, arguments: list[str], after: str = ")") -> list[str]:
    """`before(arguments)` on one line, or one argument per line where that is too long."""
    line = f"{before}({', '.join(arguments)}{after}"
    return [line] if len(line) <= WIDTH else [f"{before}(", *(f"    {argument}," for argument in arguments), after]


def axis_lost(target: str, row: str) -> list[str]:
    """Lines that take one row of `batch` by index and read it as Keras does."""
    return [
        f"# x[{row}] has lost the batch axis; read as Keras reads it, every token is a sequence of its own",
        f"{target} = {{name: x[{row}][:, None] for name, x in batch.items()}}",
    ]


@dataclass(frozen=True)
class Reading:
    """How the vectors of one forward pass are written for a readout.

    Attributes
    ----------
    layers : indices into hidden_states in the order of their combination; () for last_hidden_state.
    left : some row is padded on the left, so the first real token must be looked for.
    bare : some row can hold no real token at all (an index into a row that is padded on the left).
    """

    readout: Readout
    layers: tuple[int, ...]
    left: bool
    bare: bool

    @property
    def inline(self) -> str:
        """The pooling as one expression of a state, or "" where it takes a function."""
        return "" if self.left and self.readout.pooling == "cls" else INLINE.get(self.readout.pooling, "")

    @property
    def masked(self) -> bool:
        """Whether the readout looks at the mask."""
        return not (self.inline or self.readout.pooling == "pooler")

    def function(self) -> list[str]:
        """`pooled(state, mask)`, where the pooling takes more than one expression."""
        from bertlens.read.readout import POOLINGS

        if not self.masked:
            return []
        body = list(BODIES[self.readout.pooling])
        if self.bare and "mean" not in self.readout.pooling:  # a mean is 0 / 0 by itself
            body += [
                "# a row of padding alone has no vector",
                "vectors = vectors.masked_fill(mask.sum(1, keepdim=True) == 0, torch.nan)",
            ]
        body[-1] = body[-1].replace("vectors = ", "return ", 1)
        what = POOLINGS[self.readout.pooling]
        says = [
            f'"""{what[0].upper()}{what[1:]}.',
            "",
            "state is (batch, tokens, hidden), mask (batch, tokens), the result (batch, hidden).",
            '"""',
        ]
        return ["def pooled(state, mask):", *indent([*says, *body]), "", ""]

    @property
    def mask(self) -> str:
        """The name of the tokens that are pooled over."""
        return "content" if self.readout.pooling == "mean_content" else "mask"

    def lines(self, target: str, after: str = "", *, cut: str = "", rows: str = "") -> list[str]:
        """`target` + the vectors + `after`; `cut` and `rows` take some rows of the states and of the mask."""
        lines: list[str] = []
        found = self._vectors(cut, self.mask + rows)
        if self.readout.combine:
            lines.append(f"found = [{found} for layer in layers]")
            concat = self.readout.combine.startswith("concat")
            found = "torch.cat(found, dim=1)" if concat else f"torch.stack(found).{self.readout.combine}(0)"
        if self.readout.l2:
            found = f"torch.nn.functional.normalize({found}, dim=1)"
        return [*lines, f"{target}{found}{after}"]

    def _vectors(self, cut: str, mask: str) -> str:
        layer = "layer" if self.readout.combine else str(self.layers[0]) if self.layers else ""
        state = (f"out.hidden_states[{layer}]" if layer else "out.last_hidden_state") + cut
        if self.readout.pooling == "pooler":
            return f"out.pooler_output{cut}"
        return self.inline.format(state) if self.inline else f"pooled({state}, {mask})"


@dataclass(frozen=True)
class Passes:
    """The forward passes of one condition.

    Attributes
    ----------
    reading : how vectors are taken from the outputs; None where the outputs themselves are wanted.
    on_device : the model may stand elsewhere than on the CPU.
    tokens : `mask` and `special`, each (batch, tokens), are wanted whatever is read.
    """

    condition: Condition
    texts: Texts
    architecture: Architecture
    max_length: int
    reading: Reading | None = None
    on_device: bool = False
    tokens: bool = False

    def body(self) -> list[str]:
        """The body of a function of `model` that returns one vector per text."""
        assert self.reading is not None
        loop, source, _ = self._batches()
        index = self.condition.rows == "index"
        states = "**batch, output_hidden_states=True" if self.reading.layers else "**batch"
        last = ".cpu()" if self.on_device else ""
        lines = self.inputs(source)
        if index:
            run = [
                *axis_lost("row", "i"),
                f"out = model({states.replace('batch', 'row')})",
                "# what is then taken for text i is sequence 0, its first token alone",
                *self.reading.lines("vectors.append(", ")", cut="[:1]", rows="[i : i + 1, :1]"),
            ]
            lines += ['for i in range(len(batch["input_ids"])):', *indent(run)]
        else:
            lines.append(f"out = model({states})")
            lines += self.reading.lines("vectors.append(", ")") if loop else self.reading.lines("return ", last)
        if not (loop or index):
            return lines
        return ["vectors = []", *([loop, *indent(lines)] if loop else lines), f"return torch.cat(vectors){last}"]

    def each(self, body: list[str]) -> list[str]:
        """`body`, which sees `batch`, once for every batch."""
        loop, source, _ = self._batches()
        lines = [*self.inputs(source), *body]
        return [loop, *indent(lines)] if loop else lines

    def first_inputs(self) -> list[str]:
        """Lines that make `batch`, what goes into the first forward pass."""
        lines = self.inputs(self._batches()[2])
        if self.condition.rows == "index":
            lines += axis_lost("batch", "0")
        return lines

    def of_text(self, text: int) -> tuple[list[str], int]:
        """Lines that make the `batch` in which a text stands, and the row of that text."""
        at_once = {"whole": len(self.texts), "alone": 1}.get(str(self.condition.batch)) or int(self.condition.batch)
        start = text - text % at_once
        source = "texts" if at_once >= len(self.texts) else f"texts[{start} : {start + at_once}]"
        return self.inputs(source), text - start

    def _batches(self) -> tuple[str, str, str]:
        """The loop over batches ("" for none), the texts of one batch, and those of the first."""
        at_once = self.condition.batch
        if at_once == "whole":
            return "", "texts", "texts"
        if at_once == "alone":
            strings = all(isinstance(text, str) for text in self.texts)
            return "for text in texts:", "text" if strings else "[text]", "texts[:1]"
        return f"for start in range(0, len(texts), {at_once}):", f"texts[start : start + {at_once}]", f"texts[:{at_once}]"

    def inputs(self, source: str) -> list[str]:
        """Lines that tokenise `source` into `batch` and change it as the condition says."""
        condition, reading = self.condition, self.reading
        lines = self._tokenised(source)
        content = reading is not None and reading.mask == "content"
        if content or self.tokens:
            lines.append('special = batch.pop("special_tokens_mask")')
        needed = self.tokens or (reading is not None and reading.masked) or condition.positions == "from-mask"
        if condition.mask == "off":
            lines.append("# the mask is forgotten: the model attends to padding as if it were text")
            lines.append('mask = batch.pop("attention_mask")' if needed else 'del batch["attention_mask"]')
        elif needed or condition.mask == "inverted":
            lines.append('mask = batch["attention_mask"]')
        if content:
            lines.append("content = mask * (1 - special)  # without [CLS] and [SEP]")
        if condition.mask == "inverted":
            lines.append('batch["attention_mask"] = 1 - mask  # zeros and ones exchanged')
        if condition.segments != "tokenizer":
            lines.append(f'batch["token_type_ids"] = torch.{condition.segments}_like(batch["input_ids"])')
        if condition.positions == "from-mask":
            first = max(self.architecture.first_position, 0)
            start = f" + {first}" if first else ""
            lines.append(f"# positions counted over the real tokens only, from {first}, instead of over the padding as well")
            lines.append(f'batch["position_ids"] = (mask.cumsum(1) - 1{start}).masked_fill(mask == 0, {max(first - 1, 0)})')
        return lines

    def _tokenised(self, source: str) -> list[str]:
        condition = self.condition
        limit = self.max_length if condition.max_length == "model" else int(condition.max_length)
        width = condition.padding if isinstance(condition.padding, int) else None
        several = len(self.texts) > 1 and str(condition.batch) not in ("alone", "1")
        padding = ['padding="max_length"'] if width else ["padding=True"] if several else []
        if padding and condition.side == "left":
            padding.append('padding_side="left"')
        options = []
        if condition.specials == "off":
            options.append("add_special_tokens=False")
        if self.tokens or (self.reading is not None and self.reading.mask == "content"):
            options.append("return_special_tokens_mask=True")
        if not self.architecture.segments:
            options.append("return_token_type_ids=False")  # some tokenizers return them to models that take none
        tensors, device = 'return_tensors="pt"', ".to(model.device)" if self.on_device else ""
        if width and limit < width:
            # one max_length cannot be both the length to cut at and the length to pad to
            cut = call("rows = tokenizer", [source, "truncation=True", f"max_length={limit}", *options])
            padded = ["rows", *padding, f"max_length={width}", tensors]
            return [*cut, *call("batch = tokenizer.pad", padded, f"){device}")]
        arguments = [source, *padding, "truncation=True", f"max_length={width or limit}", *options, tensors]
        return call("batch = tokenizer", arguments, f"){device}")
