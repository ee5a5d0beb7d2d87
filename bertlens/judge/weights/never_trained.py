"""Never trained: what the states of the modules say, parts that are broken, drawn, or random as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from bertlens.judge.checkpoint.recipe import declared, without_pooler
from bertlens.judge.checkpoint.settings import declares_pooling
from bertlens.judge.findings import Finding, named
from bertlens.judge.weights.draws import TRAINED
from bertlens.judge.weights.load_report import is_pooler, spoiled
from bertlens.judge.weights.modules import BROKEN, HUGE, Module
from bertlens.run.alignment import Alignment
from bertlens.run.dossier import Dossier

EMPTY = 0.25
"""Share of empty rows that no padding of a table and no unused tokens explain."""


def of_modules(dossier: Dossier, modules: Sequence[Module]) -> list[Finding]:
    """What the states say, the root cause first: broken numbers, a random model, parts that were drawn and never trained."""
    encoder = [module for module in modules if module.name in _owners(dossier.alignment) and not _of_pooler(module)]
    found = list(_broken(dossier, modules))
    random = list(_random(dossier, encoder))
    return [*found, *(random or [*_unmapped_norms(encoder), *_drawn(dossier, encoder)])]


def of_pooler(dossier: Dossier, modules: Sequence[Module]) -> list[Finding]:
    """Whether `pooler_output` means anything: missing, or saved and never trained; graver where a head reads it."""
    pooler = [module for module in modules if _of_pooler(module) and module.name in _owners(dossier.alignment)]
    encoder = [module for module in modules if module.name in _owners(dossier.alignment) and not _of_pooler(module)]
    linear = [module for module in encoder if module.kind == "linear"] or encoder  # I-BERT and SqueezeBERT have their own
    if not pooler or any(_random(dossier, encoder)) or all(module.state in ("missing", "newly drawn") for module in linear):
        return []  # a random model is told as such
    head = dossier.head.parts.values() if dossier.head else ()
    read = [output for part in head if is_pooler(part.name) for output in part.outputs if output != "pooler_output"]
    declares = declares_pooling(dossier) and not read
    severity = "caution" if declares else "problem"
    aside = "; the declared pooling does not read it" if declares else ""
    recipe = declared(dossier.documents)
    affects = tuple(dict.fromkeys(("pooler_output", *read)))
    lost = [name for module in pooler if module.state == "missing" for name in module.names]
    if lost:
        evidence: dict[str, Any] = {"newly_initialised": lost}
        title = f"The pooler is not in the file: pooler_output is drawn at random at every load{aside}"
        return [without_pooler(named("pooler-missing", severity, evidence, affects, title), dossier, recipe)]
    drawn = [module for module in pooler if module.state == "newly drawn"]
    if drawn:
        evidence = {"module": drawn[0].name, "reason": drawn[0].reason, **drawn[0].evidence}
        title = f"The pooler was saved but never trained: pooler_output means nothing{aside}"
        return [without_pooler(named("pooler-untrained", severity, evidence, affects, title), dossier, recipe)]
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
    for table in (m for m in modules if m.evidence.get("zero_rows", 0) > EMPTY * m.evidence.get("rows_read", 0)):
        share = table.evidence["zero_rows"] / table.evidence["rows_read"]
        title = f"{share:.0%} of the rows of {table.name} hold nothing but zeros"
        evidence = {"modules": [table.name], "share": share, "rows_read": table.evidence["rows_read"]}
        yield named("conversion-incomplete", "problem", evidence, table.outputs, title)
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
    if not any(m.state == "trained" for m in encoder):
        return
    lost_layers = sorted({m.layer for m in drawn if m.layer is not None} - {m.layer for m in encoder if m.state == "trained"})
    whole = [m for m in drawn if m.layer in lost_layers]
    tables = [m for m in drawn if m.kind == "embedding"]
    other = [m for m in drawn if m not in whole and m not in tables]
    tables, other = _odd(tables, encoder), _odd(other, encoder)
    was = "was" if len(tables) == 1 else "were"
    matrices = "1 matrix of the encoder was" if len(other) == 1 else f"{len(other)} matrices of the encoder were"
    for group, fault, what in (
        (whole, "shape-mismatch", f"{_layers(lost_layers)} added and never trained"),
        (tables, "shape-mismatch", f"{_some(tables)} {was} drawn anew as a whole and never trained"),
        (other, "conversion-incomplete", f"{matrices} never trained: {_some(other)}"),
    ):
        if group:
            evidence = {"modules": [m.name for m in group[:8]], "count": len(group), "reason": group[0].reason}
            names = [name for m in group for name in m.names]
            yield named(fault, "problem", evidence, spoiled(dossier.alignment, names), what)


def _odd(drawn: Sequence[Module], encoder: Sequence[Module]) -> list[Module]:
    """Those that differ from others of their make: where no matrix shows any training, drawn ones are what the model is."""
    matrices = [m for m in encoder if m.kind in ("linear", "embedding")]
    moved = any(m.evidence.get("bias") == "moved" for m in matrices)
    if any(m.state == "trained" and m.evidence["probability"] < TRAINED for m in matrices):  # not one in a thousand by chance
        return list(drawn)
    return [m for m in drawn if moved and m.evidence["bias"] == "exactly zero"]


def _layers(numbers: Sequence[int]) -> str:
    return f"Layer {numbers[0]} was" if len(numbers) == 1 else f"Layers {', '.join(map(str, numbers))} were"


def _some(modules: Sequence[Module]) -> str:
    return ", ".join(module.name for module in modules[:3]) + (" …" if len(modules) > 3 else "")
