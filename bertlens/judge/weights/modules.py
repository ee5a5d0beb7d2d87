"""Weights: the state of every module of a checkpoint, and the findings that follow from it."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bertlens.errors import BertlensError
from bertlens.judge.checkpoint.settings import declares_pooling
from bertlens.judge.findings import Finding, named
from bertlens.judge.weights.load_report import is_pooler, spoiled
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
    name : "encoder.layer.0.attention.self.query"; `place`: the same without the layer's number; `layer`: the number.
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
        keys = [alignment.loaded[part.name] for part in (main, *(part for part in parts if part.role == "bias"))]
        weight, *bias = (dossier.weights.tensor(key) for key in keys)
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
    place = name if main.layer is None else f"{name}.".replace(number, ".", 1).rstrip(".")
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


def of_modules(dossier: Dossier, modules: Sequence[Module]) -> list[Finding]:
    """What the states say, the root cause first: broken numbers, a random model, parts that were drawn and never trained."""
    encoder = [module for module in modules if module.name in _owners(dossier.alignment) and not _of_pooler(module)]
    found = list(_broken(dossier, modules))
    random = list(_random(dossier, encoder))
    return [*found, *(random or [*_unmapped_norms(encoder), *_drawn(dossier, encoder)])]


def of_pooler(dossier: Dossier, modules: Sequence[Module]) -> list[Finding]:
    """Whether `pooler_output` means anything: missing, or saved and never trained; graver where a head reads it."""
    pooler = [module for module in modules if _of_pooler(module) and module.name in _owners(dossier.alignment)]
    if not pooler or all(module.state in ("missing", "newly drawn") for module in modules if module.kind == "linear"):
        return []  # a random model is told as such
    head = dossier.head.parts.values() if dossier.head else ()
    read = [output for part in head if is_pooler(part.name) for output in part.outputs if output != "pooler_output"]
    declared = declares_pooling(dossier) and not read
    severity = "caution" if declared else "problem"
    aside = "; the declared pooling does not read it" if declared else ""
    affects = tuple(dict.fromkeys(("pooler_output", *read)))
    lost = [name for module in pooler if module.state == "missing" for name in module.names]
    if lost:
        evidence: dict[str, Any] = {"newly_initialised": lost}
        title = f"The pooler is not in the file: pooler_output is drawn at random at every load{aside}"
        return [named("pooler-missing", severity, evidence, affects, title)]
    drawn = [module for module in pooler if module.state == "newly drawn"]
    if drawn:
        evidence = {"module": drawn[0].name, "reason": drawn[0].reason, **drawn[0].evidence}
        title = f"The pooler was saved but never trained: pooler_output means nothing{aside}"
        return [named("pooler-untrained", severity, evidence, affects, title)]
    return []


def of_head(dossier: Dossier, modules: Sequence[Module]) -> list[Finding]:
    """A head that the config names, but that the file lacks or holds untrained."""
    if dossier.head is None or dossier.head_alignment is None:
        return []
    head = [module for module in modules if module.name not in _owners(dossier.alignment) and not _of_encoder(dossier, module)]
    lost = [module for module in head if module.state in ("missing", "mismatched")]
    drawn = [module for module in head if module.state == "newly drawn" and module.kind == "linear"]
    if not (lost or drawn):
        return []
    outputs = tuple(dict.fromkeys(o for module in lost or drawn for o in module.outputs if o not in dossier.encoder.outputs))
    names = [module.name for module in lost or drawn]
    if lost:
        what = f"{dossier.head.name} needs {', '.join(names[:3])}, which the file does not hold: drawn at random at every load"
    else:
        what = f"{', '.join(names[:3])} of {dossier.head.name} {'was' if len(names) == 1 else 'were'} saved but never trained"
    evidence = {"class": dossier.head.name, "modules": names, "state": (lost or drawn)[0].state}
    severity = "caution" if declares_pooling(dossier) else "problem"  # who declares a pooling reads no logits
    return [named("classifier-untrained", severity, evidence, outputs, what)]


def _owners(alignment: Alignment) -> set[str]:
    return {part.module for part in alignment.blueprint.parts.values()}


def _of_encoder(dossier: Dossier, module: Module) -> bool:
    assert dossier.head is not None
    return module.name.removeprefix(f"{dossier.head.model.base_model_prefix}.") in _owners(dossier.alignment)


def _of_pooler(module: Module) -> bool:
    return any(is_pooler(name) for name in module.names)


def _broken(dossier: Dossier, modules: Sequence[Module]) -> Iterator[Finding]:
    for state in BROKEN:
        hit = [module for module in modules if module.state == state and not _may_be_zero(module, state)]
        if hit:
            what = "NaN or infinite numbers" if state == "not finite" else "nothing but zeros"
            many = f"{len(hit)} modules hold" if len(hit) > 1 else f"{hit[0].name} holds"
            evidence = {"modules": [module.name for module in hit[:8]], "count": len(hit), "reason": hit[0].reason}
            affects = tuple(dict.fromkeys(o for module in hit for o in module.outputs))
            affects = ("everything",) if "hidden_states[0]" in affects else affects
            yield named("conversion-incomplete", "problem", evidence, affects, f"{many} {what}")
    huge = [m for m in modules if abs(m.evidence.get("largest", 0.0)) > HUGE]
    if huge:
        evidence = {"modules": [m.name for m in huge[:8]], "largest": huge[0].evidence["largest"]}
        title = f"{huge[0].name} holds numbers up to {evidence['largest']:.1e}, as a damaged file does"
        yield named("conversion-incomplete", "problem", evidence, huge[0].outputs, title)


def _may_be_zero(module: Module, state: str) -> bool:
    """Vectors start as zeros, and segment embeddings of families without segments are zeros by design."""
    return state == "all zero" and (module.kind == "other" or "token_type" in module.name)


def _random(dossier: Dossier, encoder: Sequence[Module]) -> Iterator[Finding]:
    """Nothing was ever trained: every LayerNorm is one and zero, and no matrix shows more than a draw."""
    counted = Counter(module.state for module in encoder)
    norms = [module for module in encoder if module.kind == "norm"]
    drawn = [module for module in norms if module.state == "newly drawn"]
    if len(norms) < 2 or len(drawn) < len(norms) or counted["trained"]:
        return
    title = (
        f"Nothing in this model was ever trained: all {len(norms)} LayerNorms hold ones and zeros, "
        f"and no matrix shows more than a fresh draw"
    )
    yield named("random-model", "problem", {"states": dict(counted), "layer_norms": len(norms)}, ("everything",), title)


def _unmapped_norms(encoder: Sequence[Module]) -> Iterator[Finding]:
    """Trained matrices between LayerNorms that were never set: their values were lost under an old name."""
    norms = [module for module in encoder if module.kind == "norm"]
    drawn = [module for module in norms if module.state == "newly drawn"]
    trained = sum(module.state == "trained" and module.kind == "linear" for module in encoder)
    if len(norms) > 1 and len(drawn) == len(norms) and trained:
        title = f"All {len(norms)} LayerNorms hold ones and zeros, though the matrices are trained: their values were lost"
        evidence = {"layer_norms": len(norms), "trained_matrices": trained}
        yield named("legacy-layernorm-names", "problem", evidence, ("everything",), title)


def _drawn(dossier: Dossier, encoder: Sequence[Module]) -> Iterator[Finding]:
    """Parts of the encoder that were drawn and saved while the rest was trained."""
    drawn = [m for m in encoder if m.state == "newly drawn" and m.kind in ("linear", "embedding")]
    if not drawn:
        return
    lost_layers = sorted({m.layer for m in drawn if m.layer is not None} - {m.layer for m in encoder if m.state == "trained"})
    whole = [m for m in drawn if m.layer in lost_layers]
    tables = [m for m in drawn if m.kind == "embedding"]
    other = [m for m in drawn if m not in whole and m not in tables]
    for group, fault, what in (
        (whole, "shape-mismatch", f"Layers {', '.join(map(str, lost_layers))} were added and never trained"),
        (tables, "shape-mismatch", f"{', '.join(m.name for m in tables)} was drawn anew as a whole and never trained"),
        (other, "conversion-incomplete", f"{len(other)} matrices of the encoder were never trained: {_some(other)}"),
    ):
        if group:
            evidence = {"modules": [m.name for m in group[:8]], "count": len(group), "reason": group[0].reason}
            names = [name for m in group for name in m.names]
            yield named(fault, "problem", evidence, spoiled(dossier.alignment, names), what)


def _some(modules: Sequence[Module]) -> str:
    return ", ".join(module.name for module in modules[:3]) + (" …" if len(modules) > 3 else "")
