"""Trap script: the lines of a pooling script that pad texts further and further and hold them against themselves unpadded."""

from __future__ import annotations

from collections.abc import Sequence

from bertlens.judge.trap import PaddingTrap
from bertlens.run.texts import Texts
from bertlens.show.passes import call
from bertlens.show.runs import Runs

TRAP = '''\
# the padding trap: texts padded further and further against the same texts alone and unpadded
trapped = [
{texts}
]


@torch.inference_mode()
def padded(model, texts, **padding):
    """Readout -> (texts, dimensions) of one forward pass."""
    {rows}
    batch = tokenizer.pad(rows, return_tensors="pt", **padding)
    special = batch.pop("special_tokens_mask")
    return read(model(**batch, output_hidden_states=True), batch["attention_mask"], special)


def moved(model):
    """(readout, padded length) -> (texts,): how far every text moves from itself alone and unpadded."""
    alone = [padded(model, [text], padding="longest") for text in trapped]
    found = {{}}
    for length in {lengths}:
        several = padded(model, trapped, padding="max_length", max_length=length)
        for name in {readouts}:
            one = torch.cat([each[name] for each in alone])
            found[name, length] = (one.double() - several[name].double()).abs().amax(1)
    return found


as_run = moved({as_run})
{in_float64}
for (name, length), gaps in as_run.items():
    print(f"trap {{name}}  padding {{length}}  max abs {{gaps.tolist()}}  in float64 {{doubled[name, length].tolist()}}")
'''


def trap_lines(runs: Runs, texts: Texts, trap: PaddingTrap, max_length: int, *, segments: bool) -> str:
    """Lines that print what padding does to every text, in float32 and in float64; `read` stands above them.

    Parameters
    ----------
    runs : its second side is how the trap runs: float32, without dropout.
    texts : those of the trap.
    """
    options = ["texts", "truncation=True", f"max_length={max_length}", "return_special_tokens_mask=True"]
    options += [] if segments else ["return_token_type_ids=False"]
    lines = ["model.double()"] if runs.plain else []
    double = f"doubled = moved({runs.model(1, 'float64')})"
    lines += ["with DoubleThroughout():", f"    {double}"] if runs.double(1, "float64") else [double]
    return TRAP.format(
        texts="\n".join(f"    {text!r}," for text in texts),
        rows="\n    ".join(call("rows = tokenizer", options)),
        lengths=_tuple(trap.lengths),
        readouts=_tuple(trap.poolings),
        as_run=runs.model(1, None),
        in_float64="\n".join(lines),
    )


def _tuple(values: Sequence[int] | Sequence[str]) -> str:
    return repr(tuple(values)).replace("'", '"')
