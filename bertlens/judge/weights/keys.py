"""Keys: what the names and shapes in a weights file betray, each fault with the change that mends it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from bertlens.judge.findings import Finding, named
from bertlens.judge.weights.load_report import is_pooler, spoiled
from bertlens.run.alignment import Alignment, Mismatch, Rename
from bertlens.run.dossier import Dossier

WRAPPERS = frozenset(
    {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_wrapped_module"}
)
"""Components that a training wrapper puts into keys: DataParallel, torch.compile, FSDP, activation checkpoints, Fabric."""

ADAPTER = re.compile(r"(^|\.)(lora_[AB]|lora_embedding_[AB]|base_layer|adapter_(down|up)|ia3_l)(\.|$)")
SLOTS = re.compile(r"(adam_[mv]|exp_avg(_sq)?|lamb_[mv]|momentum|global_step|optimizer)", re.IGNORECASE)
NUMBER = re.compile(r"\.(\d+)\.")


def of_keys(dossier: Dossier) -> list[Finding]:
    """What the keys and shapes of the file betray, the root cause first; a pooler or a head is told by its own finding."""
    return [
        *_foreign_keys(dossier),
        *_tied(dossier),
        *_shapes(dossier.alignment),
        *_layers(dossier),
        *_gaps(dossier),
        *_strangers(dossier),
        *_legacy(dossier),
    ]


def _essential_missing(alignment: Alignment) -> list[str]:
    return [name for name in alignment.missing if not is_pooler(name)]


def _foreign_keys(dossier: Dossier) -> Iterator[Finding]:
    """Keys under which the model does not look, with the rename that would bring them there."""
    alignment = dossier.alignment
    lost = _essential_missing(alignment)
    total = sum(not is_pooler(name) for name in alignment.blueprint.parts)
    renames = [rename for rename in alignment.renames if any(not is_pooler(name) for name in rename.keys.values())]
    for rename in renames:
        if len(rename.keys) < len(lost) / 10:
            continue  # a likeness of a few keys by chance says nothing
        yield _renamed(dossier, rename, len(lost), total)
    left = [name for name in lost if name not in alignment.mended]
    if left and len(left) > total / 2:
        evidence = {"missing": len(left), "of": total, "expected": left[:3], "in_the_file": list(dossier.weights)[:3]}
        title = f"{len(left)} of {total} weights are not in the file and are drawn at random: every output is meaningless"
        yield named("weights-not-loaded", "problem", evidence, ("everything",), title)


def _renamed(dossier: Dossier, rename: Rename, lost: int, total: int) -> Finding:
    parts = rename.drop.rstrip(".").split(".")
    key, name = next(iter(rename.keys.items()))
    evidence = {
        "missing": lost,
        "of": total,
        "rename": rename.words,
        "drop": rename.drop,
        "add": rename.add,
        "example": f"{key} → {name}",
    }
    affects = spoiled(dossier.alignment, tuple(rename.keys.values()))
    if ADAPTER.search(rename.drop) or any(ADAPTER.search(key) for key in dossier.weights):
        title = f"An adapter was saved unmerged: {rename.words} to load the base, and merge what it adds"
        return named("fine-tuning-absent", "problem", evidence, affects, title)
    wrapped = any(part in WRAPPERS for part in parts)
    which = "all" if lost >= total else f"{lost} of {total}"
    title = f"The keys in the file are named otherwise, so {which} weights are drawn at random: {rename.words}"
    finding = named("wrapper-prefix" if wrapped else "weights-not-loaded", "problem", evidence, affects, title)
    return replace(finding, remedy=f"{rename.words[0].upper()}{rename.words[1:]} and save the file again.", code=_code(rename))


def _code(rename: Rename) -> str:
    """The rename as it would be typed."""
    lines = 'from safetensors.torch import load_file, save_file\n\nstate = load_file("model.safetensors")\n'
    begins = all(key.startswith(rename.drop) for key in rename.keys)
    if begins:
        change = f'{{"{rename.add}" + key.removeprefix("{rename.drop}"): value for key, value in state.items()}}'
    else:
        change = f'{{key.replace("{rename.drop}", "{rename.add}"): value for key, value in state.items()}}'
    return f'{lines}save_file({change}, "mended/model.safetensors", metadata={{"format": "pt"}})'


def _layers(dossier: Dossier) -> Iterator[Finding]:
    """Whole layers at the end that only the config has, or only the file."""
    alignment = dossier.alignment
    held = _layer_numbers(dossier, [*alignment.loaded, *(m.name for m in alignment.mismatched)])
    beyond = _layer_numbers(dossier, alignment.unexpected)
    asked = dossier.encoder.layers
    if not asked:
        title = "The config asks for no layers at all: every output is an embedding"
        yield named("shape-mismatch", "problem", {"config_layers": 0}, ("last_hidden_state",), title)
    if not held:
        return
    lost = [
        name for name in alignment.missing if (number := dossier.encoder.parts[name].layer) is not None and number > max(held)
    ]
    if lost:
        title = f"The config asks for {asked} layers, the file holds {max(held) + 1}: the others are drawn at random"
        evidence = {"config_layers": asked, "file_layers": max(held) + 1, "missing": len(lost)}
        yield named("shape-mismatch", "problem", evidence, spoiled(alignment, lost), title)
    over = [number for number in beyond if number >= asked]
    if over:
        more = max(over) + 1 - asked
        rest = f"the last {more} are" if more > 1 else "the last one is"
        title = f"The file holds {max(over) + 1} layers, the config asks for {asked}: {rest} left out"
        evidence = {"config_layers": asked, "file_layers": max(over) + 1}
        last = (f"hidden_states[{asked}]", "last_hidden_state", "pooler_output")
        yield named("shape-mismatch", "problem", evidence, tuple(o for o in last if o in dossier.encoder.outputs), title)


def _layer_numbers(dossier: Dossier, names: Sequence[str]) -> list[int]:
    """Numbers of the encoder layers that names belong to, whether or not the model has that many."""
    templates = {_without_number(name) for name, part in dossier.encoder.parts.items() if part.layer is not None}
    prefix = f"{dossier.encoder.model.base_model_prefix}."
    plain = [name.removeprefix(prefix) for name in names]
    return [int(number[1]) for name in plain if _without_number(name) in templates and (number := NUMBER.search(name))]


def _without_number(name: str) -> str:
    return NUMBER.sub(".#.", name, count=1)


def _tied(dossier: Dossier) -> Iterator[Finding]:
    """The word embeddings are gone, but a decoder that was tied to them is there."""
    name = dossier.encoder.word_embeddings
    if name not in dossier.alignment.missing:
        return
    shape = dossier.encoder.parts[name].shape
    decoders = [key for key, entry in dossier.weights.entries.items() if entry.shape == shape and "decoder" in key]
    if decoders:
        title = f"The word embeddings are not in the file; their tied copy {decoders[0]} is: they are drawn at random"
        evidence = {"missing": name, "copy": decoders[0], "rows": shape[0]}
        yield named("tied-weights-dropped", "problem", evidence, ("everything",), title)


def _shapes(alignment: Alignment) -> Iterator[Finding]:
    """Tensors of another shape than the config asks for."""
    turned = [m for m in alignment.mismatched if len(m.held) == 2 and m.held == m.asked[::-1] and m.held[0] != m.held[1]]
    other = [m for m in alignment.mismatched if m not in turned]
    if turned:
        title = f"{len(turned)} matrices stand in the file transposed, as TensorFlow keeps them: first {turned[0].name}"
        yield named("conversion-incomplete", "problem", _mismatch_evidence(turned), _spoils(alignment, turned), title)
    if other:
        first = other[0]
        title = (
            f"The config and the file disagree on {len(other)} shape{'s' * (len(other) > 1)}: {first.name} is "
            f"{list(first.held)} in the file, {list(first.asked)} by the config; with ignore_mismatched_sizes it is drawn anew"
        )
        yield named("shape-mismatch", "problem", _mismatch_evidence(other), _spoils(alignment, other), title)


def _mismatch_evidence(mismatched: Sequence[Mismatch]) -> dict[str, Any]:
    shown = [{"name": m.name, "file": list(m.held), "config": list(m.asked)} for m in mismatched[:5]]
    return {"mismatched": len(mismatched), "tensors": shown}


def _spoils(alignment: Alignment, mismatched: Sequence[Mismatch]) -> tuple[str, ...]:
    return spoiled(alignment, [mismatch.name for mismatch in mismatched])


def _gaps(dossier: Dossier) -> Iterator[Finding]:
    """Single weights of the encoder that the file lacks, and that nothing above explains."""
    alignment, parts = dossier.alignment, dossier.encoder.parts
    lost = _essential_missing(alignment)
    explained = alignment.mended
    if any(_tied(dossier)):
        explained.add(dossier.encoder.word_embeddings)
    held = _layer_numbers(dossier, list(alignment.loaded))
    left = [n for n in lost if n not in explained and not (held and (parts[n].layer or 0) > max(held))]
    total = sum(not is_pooler(name) for name in parts)
    if left and len(left) <= total / 2:
        evidence = {"missing": len(left), "of": total, "names": left[:5]}
        many = f"{len(left)} weights of the encoder are" if len(left) > 1 else f"{left[0]} is"
        title = f"{many} not in the file and drawn at random"
        yield named("conversion-incomplete", "problem", evidence, spoiled(alignment, left), title)


def _strangers(dossier: Dossier) -> Iterator[Finding]:
    """Keys that the encoder has no place for: heads and buffers harm nothing; parts of the encoder do."""
    alignment = dossier.alignment
    mended = {key for rename in alignment.renames for key in rename.keys}
    keys = [key for key in alignment.unexpected if key not in mended]
    slots = [key for key in keys if SLOTS.search(key)]
    adapters = [key for key in keys if key not in slots and ADAPTER.search(key)]
    layers = set(_beyond(dossier, keys))
    inner = [key for key in keys if key not in (*slots, *adapters) and key not in layers and _inside(dossier, key)]
    if slots:
        many = f"{len(slots)} tensors of an optimiser are" if len(slots) > 1 else "A tensor of an optimiser is"
        title = f"{many} among the weights: the conversion took more than the model"
        yield named("conversion-incomplete", "caution", {"keys": slots[:5]}, (), title)
    if adapters and not any(finding.id == "fine-tuning-absent" for finding in _foreign_keys(dossier)):
        title = f"{len(adapters)} tensors of an adapter are in the file, and {dossier.encoder.name} does not apply them"
        yield named("fine-tuning-absent", "problem", {"keys": adapters[:5]}, ("everything",), title)
    if inner and len(_essential_missing(alignment)) < len(dossier.encoder.parts) / 2:
        many = f"{len(inner)} tensors inside the encoder have" if len(inner) > 1 else f"{inner[0]} of the encoder has"
        title = f"{many} no place in {dossier.encoder.name} and {'are' if len(inner) > 1 else 'is'} left out"
        yield named("conversion-incomplete", "problem", {"keys": inner[:5]}, ("everything",), title)
    harmless = [key for key in (*keys, *alignment.ignored) if key not in (*slots, *adapters, *inner) and key not in layers]
    if harmless:
        many = f"{len(harmless)} keys of the file are" if len(harmless) > 1 else f"{harmless[0]} is"
        title = f"{many} not part of {dossier.encoder.name} (a head or a buffer), which harms no embedding"
        finding = named("harmless-keys", "note", {"keys": sorted(harmless)[:8], "count": len(harmless)}, (), title)
        yield replace(finding, remedy="Nothing needs to be done.")


def _beyond(dossier: Dossier, keys: Sequence[str]) -> list[str]:
    """Keys of layers that the config does not ask for."""
    return [key for key in keys if any(number >= dossier.encoder.layers for number in _layer_numbers(dossier, [key]))]


def _inside(dossier: Dossier, key: str) -> bool:
    """Whether a key belongs to a module that the encoder has: to its embeddings or its layers."""
    tops = {name.split(".")[0] for name in dossier.encoder.parts}
    plain = key.removeprefix(f"{dossier.encoder.model.base_model_prefix}.")
    return plain.split(".")[0] in tops


def _legacy(dossier: Dossier) -> Iterator[Finding]:
    """LayerNorms named gamma and beta: transformers renames them, other programs drop them."""
    old = [key for key in dossier.weights if key.rsplit(".", 1)[-1] in ("gamma", "beta")]
    if old:
        title = f"{len(old)} LayerNorm tensors have their old names gamma and beta; transformers renames them, others drop them"
        yield named("legacy-layernorm-names", "note", {"keys": old[:5], "count": len(old)}, (), title)
