"""Passes: the forward passes of one condition, written as a person writes them in torch and transformers.

Every line stands for a key of the condition that is not at its default; a default condition leaves the plain idiom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertlens.run.condition import Condition
from bertlens.run.texts import Texts

if TYPE_CHECKING:
    from bertlens.run.architecture import Architecture
    from bertlens.show.reading import Reading

WIDTH = 110
"""Columns after which a call is written one argument per line."""


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
        elif condition.specials == "doubled":
            lines.append('del batch["special_tokens_mask"]')
        needed = self.tokens or (reading is not None and reading.masked) or condition.positions == "from-mask"
        if condition.mask == "off":
            lines.append("# the mask is forgotten: the model attends to padding as if it were text")
            lines.append('mask = batch.pop("attention_mask")' if needed else 'del batch["attention_mask"]')
        elif needed or condition.mask != "on":
            lines.append('mask = batch["attention_mask"]')
        if content:
            lines.append("content = mask * (1 - special)  # without [CLS] and [SEP]")
        if condition.mask == "inverted":
            lines.append('batch["attention_mask"] = 1 - mask  # zeros and ones exchanged')
        if condition.segments != "tokenizer":
            lines.append(f'batch["token_type_ids"] = torch.{condition.segments}_like(batch["input_ids"])')
        if condition.mask == "swapped":
            lines.append("# passed as positional arguments in the wrong order: each is read as the other")
            lines.append('segments = batch.get("token_type_ids", torch.zeros_like(mask))')
            lines.append('batch["attention_mask"], batch["token_type_ids"] = segments, mask')
        if condition.positions == "from-mask":
            first = max(self.architecture.first_position, 0)
            start = f" + {first}" if first else ""
            lines.append(f"# positions counted over the real tokens only, from {first}, instead of over the padding as well")
            lines.append(f'batch["position_ids"] = (mask.cumsum(1) - 1{start}).masked_fill(mask == 0, {max(first - 1, 0)})')
        return lines

    @property
    def limit(self) -> int:
        """Tokens at which texts are truncated."""
        return self.max_length if self.condition.max_length == "model" else int(self.condition.max_length)

    def rows(self, source: str) -> list[str]:
        """Lines that make `rows`, the tokens of every text of `source` in lists, truncated but not padded."""
        several = source if source.startswith(("[", "texts")) else f"[{source}]"
        if self.condition.specials != "doubled":
            return call("rows = tokenizer", [several, "truncation=True", f"max_length={self.limit}", *self._options()])
        return [
            *call("rows = tokenizer", [several, *self._options()]),
            "# the special tokens stand in the text and are added once more; the outer ones survive truncation",
            'for i, special in enumerate(rows["special_tokens_mask"]):',
            "    before = next((at for at, mark in enumerate(special) if not mark), 0)",
            "    after = next((at for at, mark in enumerate(reversed(special)) if not mark), 0)",
            "    for name, values in rows.items():",
            '        row = [0 if mark else x for x, mark in zip(values[i], special)] if "type" in name else values[i]',
            f"        kept = row[: max(0, {self.limit} - before - after)]",
            "        values[i] = row[:before] + kept + row[len(row) - after :]",
        ]

    def _options(self) -> list[str]:
        """Arguments of the tokenizer that have nothing to do with lengths."""
        content = self.reading is not None and self.reading.mask == "content"
        options = ["add_special_tokens=False"] if self.condition.specials == "off" else []
        if self.tokens or content or self.condition.specials == "doubled":
            options.append("return_special_tokens_mask=True")
        if not self.architecture.segments:
            options.append("return_token_type_ids=False")  # some tokenizers return them to models that take none
        return options

    def _tokenised(self, source: str) -> list[str]:
        condition = self.condition
        limit = self.limit
        width = condition.padding if isinstance(condition.padding, int) else None
        several = len(self.texts) > 1 and str(condition.batch) not in ("alone", "1")
        tensors, device = 'return_tensors="pt"', ".to(model.device)" if self.on_device else ""
        padding = ['padding="max_length"'] if width else ["padding=True"] if several else []
        if padding and condition.side == "left":
            padding.append('padding_side="left"')
        if condition.specials == "doubled" or (width and limit < width):
            # one max_length cannot be both the length to cut at and the length to pad to
            how = [*(padding or ["padding=False"]), *([f"max_length={width}"] if width else [])]
            return [*self.rows(source), *call("batch = tokenizer.pad", ["rows", *how, tensors], f"){device}")]
        arguments = [source, *padding, "truncation=True", f"max_length={width or limit}", *self._options(), tensors]
        return call("batch = tokenizer", arguments, f"){device}")
