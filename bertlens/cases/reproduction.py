"""Reproduction: a fault made on purpose and mended again, on one checkpoint and some texts, with the verdict on both.

A reproduction is one function of plain torch and transformers, `f(model, tokenizer, texts) -> (truth, mistaken, mended)`:

- `truth` is what the vectors ought to be, computed in a way in which the fault cannot occur;
- `mistaken` is what people wrote: vectors (texts, dimensions), or the exception that it raises;
- `mended` is the mistake with the remedy, and has to be the truth again: the healthy twin of the fault.

Where the fault cannot be made with this checkpoint or these texts the function raises `CannotArise` with the reason in one
sentence. The function changes neither the model nor the tokenizer; it is what a person takes away as a script.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from bertlens.cases.plain import CannotArise
from bertlens.errors import BertlensError
from bertlens.judge.reproduction import Outcome, Reproduction, held_against
from bertlens.run.checkpoint import ONE_LOAD_AT_A_TIME
from bertlens.run.loading import quiet
from bertlens.run.texts import Texts, sides
from bertlens.run.variants import EveryFormatDouble, running

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

Reproducer = Callable[[Any, Any, list[str]], Outcome]

MOST = 8
"""Texts that a fault is made on; the first ones."""


def reproduced(fault: str, function: Reproducer, checkpoint: Checkpoint, texts: Texts) -> Reproduction:
    """Make a fault and mend it, in float32 and, for the verdict, once more in float64.

    Raises
    ------
    BertlensError
        Where this checkpoint or these texts do not allow the fault.
    """
    started = time.perf_counter()
    first = [sides(text)[0] for text in texts[:MOST]]
    with checkpoint.own_tokenizer() as tokenizer:
        tokenizer.model_max_length = checkpoint.max_length
        as_run = _outcome(fault, function, checkpoint, tokenizer, first, "float32")
        double = _outcome(fault, function, checkpoint, tokenizer, first, "float64")
    mistake, mended = (held_against(as_run, double, at) for at in (1, 2))
    return Reproduction(fault, mistake, mended, len(first), time.perf_counter() - started)


def _outcome(fault: str, function: Reproducer, checkpoint: Checkpoint, tokenizer: Any, texts: list[str], dtype: str) -> Outcome:
    model = checkpoint.instance(dtype, "sdpa", False, "cpu")
    try:
        # a reproduction may load a model, and transformers changes process-wide state meanwhile
        with ONE_LOAD_AT_A_TIME, quiet(), running(dtype, seed=0, repeat=EveryFormatDouble):
            return function(_with_double_buffers(model) if dtype == "float64" else model, tokenizer, texts)
    except CannotArise as reason:
        raise BertlensError(f"cannot reproduce {fault} here", got=str(reason)) from None


def _with_double_buffers(model: Any) -> Any:
    """The model with what it computes at its making, such as rotary frequencies, in float64 as well.

    A model that a reproduction builds in the repeat has them so, and would differ by their rounding.
    """
    if not any(buffer.is_floating_point() for buffer in model.buffers()):
        return model
    with torch.random.fork_rng():  # its weights are drawn, and what the reproduction draws must not depend on that
        made, twin = type(model)(copy.deepcopy(model.config)), copy.deepcopy(model)
    for (name, _), computed in zip(list(twin.named_buffers()), made.buffers(), strict=True):
        module, _, own = name.rpartition(".")
        setattr(twin.get_submodule(module), own, computed)
    return twin
