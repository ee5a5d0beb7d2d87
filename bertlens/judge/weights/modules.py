"""Modules: the state of every module of a checkpoint, each judged from the values in the file."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bertlens.errors import BertlensError
from bertlens.judge.weights.untrained import WeightState, state_of
from bertlens.run.alignment import Alignment
from bertlens.run.blueprint import Part
from bertlens.run.dossier import Dossier
from bertlens.run.progress import Progress, silent

STATES = ("trained", "cannot tell", "newly drawn", "all zero", "not finite", "mismatched", "missing")
"""States of a module, from sound to lost."""

BROKEN = ("not finite", "all zero")
HUGE = 1e3
"""No weight of a trained encoder is known to come near this; a flipped bit of an exponent goes far beyond."""


READERS = 2
"""Tensors that are read at a time: reading waits for memory as often as it computes."""

FEW = 12
"""Layers that are read thoroughly when they look untrained; a model has one or two, or hundreds of them."""


@dataclass(frozen=True)
class Module:
    """One module of the model with the state of its weights.

    Attributes
    ----------
    name : "encoder.layer.0.attention.self.query"; `place`: what follows the layer's number, or all of it; `layer`: the number.
    kind : "linear", "embedding", "norm" or "other".
    shape, dtype : of its weight, in the file.
    state : one of `STATES`; `reason`: a sentence with its numbers; `evidence`: the numbers.
    outputs : the outputs that depend on it.
    """

    name: str
    place: str
    layer: int | None
    kind: str
    shape: tuple[int, ...]
    dtype: str
    state: str
    reason: str
    evidence: dict[str, Any]
    outputs: tuple[str, ...]
    names: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "module": self.name,
            "layer": self.layer,
            "kind": self.kind,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "state": self.state,
            "reason": self.reason,
            "evidence": self.evidence,
            "outputs": list(self.outputs),
        }


def modules_of(dossier: Dossier, progress: Progress = silent) -> tuple[Module, ...]:
    """Every module of the encoder, then of the head, each judged from the values in the file; two tensors at a time.

    Where only a few layers look as if nobody had trained them, those are read again thoroughly. Where nearly all do, their
    biases and LayerNorms have spoken, and the whole spectra would take most of the time.
    """
    listed = list(_listed(dossier))
    found = []
    with ThreadPoolExecutor(READERS) as pool:
        try:
            for done, module in enumerate(pool.map(lambda each: _module(dossier, *each, thorough=False), listed)):
                progress(done, len(listed), "reading the weights")
                found.append(module)
        except BaseException:  # cancelled: what waits is not begun
            pool.shutdown(cancel_futures=True)
            raise
    doubted = [at for at, module in enumerate(found) if module.kind == "linear" and module.state == "newly drawn"]
    for at in doubted if len(doubted) <= FEW else ():
        found[at] = _module(dossier, *listed[at])
    return tuple(found)


def module_of(dossier: Dossier, name: str) -> Module:
    """One module by its name.

    Raises
    ------
    BertlensError
        Where the model has none of that name.
    """
    listed = {module: (alignment, parts) for alignment, module, parts in _listed(dossier)}
    if name not in listed:
        near = difflib.get_close_matches(name, listed, n=1)
        do = f"did you mean {near[0]}?" if near else "take one that the check lists"
        raise BertlensError(f"cannot find a module in {dossier.name}", got=name[:120], do=do)
    return _module(dossier, listed[name][0], name, listed[name][1])


def _listed(dossier: Dossier) -> Iterator[tuple[Alignment, str, list[Part]]]:
    """The modules of the encoder, then those that only the head has, with their tensors."""
    seen: set[str] = set()
    for alignment in (dossier.alignment, dossier.head_alignment):
        if alignment is None:
            continue
        prefix = f"{alignment.blueprint.model.base_model_prefix}."
        by_module: dict[str, list[Part]] = {}
        for part in alignment.blueprint.parts.values():
            if part.name.removeprefix(prefix) not in seen and part.name not in alignment.blueprint.tied:
                by_module.setdefault(part.module, []).append(part)
        seen |= {part.name for parts in by_module.values() for part in parts}
        yield from ((alignment, name, parts) for name, parts in by_module.items())


def _module(dossier: Dossier, alignment: Alignment, name: str, parts: Sequence[Part], *, thorough: bool = True) -> Module:
    main = next((part for part in parts if part.role == "weight"), parts[0])
    state = _unread(alignment, parts)
    if state is None:
        read = (main, *(part for part in parts if part.role == "bias"))
        weight, *bias = (alignment.read(part.name, dossier.weights) for part in read)
        spread = getattr(dossier.config, "initializer_range", None)
        kind = main.kind if main.kind != "other" else "linear" if weight.dim() == 2 else "norm"
        state = state_of(
            kind,
            weight,
            bias[0] if bias else None,
            initializer_range=spread,
            padding_row=main.padding_row,
            thorough=thorough,
        )
        if main.kind == "other" and state.state not in BROKEN:
            state = WeightState("cannot tell", "No law is known from which such weights are drawn.", state.evidence)
    number = "" if main.layer is None else f".{main.layer}."
    place = name if main.layer is None else name.split(number, 1)[-1]
    entry = dossier.weights.entries.get(alignment.loaded.get(main.name, ""))
    outputs = tuple(dict.fromkeys(output for part in parts for output in part.outputs))
    return Module(
        name,
        place,
        main.layer,
        main.kind,
        main.shape,
        entry.dtype if entry else "",
        state.state,
        state.reason,
        state.evidence,
        outputs,
        tuple(part.name for part in parts),
    )


def _unread(alignment: Alignment, parts: Sequence[Part]) -> WeightState | None:
    """The state of a module of which a tensor does not come from the file."""
    apart = {mismatch.name: mismatch for mismatch in alignment.mismatched}
    for part in parts:
        if part.name in apart:
            held, asked = apart[part.name].held, apart[part.name].asked
            return WeightState("mismatched", f"The file holds {list(held)}, the config asks for {list(asked)}.", {})
    lost = [part.name for part in parts if part.name not in alignment.loaded]
    return WeightState("missing", "Not in the file: drawn at random at every load.", {"missing": lost}) if lost else None
