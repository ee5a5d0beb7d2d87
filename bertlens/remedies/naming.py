"""Naming: tensors that are there under names where the model does not look for them."""

from __future__ import annotations

from bertlens.remedies.work import Work
from bertlens.run.alignment import Alignment, Rename


def rename(work: Work) -> None:
    """Strip or exchange the part of the keys that keeps the model from finding them, in its head too."""
    source = work.source
    alignment = source.head_alignment if source.head_alignment is not None else source.alignment
    renames = _worthwhile(alignment) or _worthwhile(source.alignment)
    if not renames:
        raise work.refuse(
            "keys that no single change of names brings into place",
            expected="a prefix or a part that all of them share",
            do="save the model again where it was trained, with save_pretrained",
        )
    if any("base_layer" in one.drop for one in renames):
        raise work.refuse("an adapter that was saved unmerged", do="repair fine-tuning-absent, which merges it")
    for one in renames:
        keys, line = _everywhere(one, list(work.draft.tensors))
        work.rename(keys, line)
        work.done.append(f"{one.words[0].upper()}{one.words[1:]}, {len(keys)} of {len(work.draft.tensors)} in all.")


def _worthwhile(alignment: Alignment) -> list[Rename]:
    """The renames that mend more than a few likenesses by chance."""
    return [one for one in alignment.renames if len(one.keys) >= len(alignment.missing) / 10]


def _everywhere(one: Rename, held: list[str]) -> tuple[dict[str, str], str]:
    """A rename for every key that begins alike, so that what no class asks for follows; and the line that does it."""
    if all(key.startswith(one.drop) for key in one.keys):
        keys = {key: one.add + key.removeprefix(one.drop) for key in held if key.startswith(one.drop)}
        new = f"{one.add!r} + key.removeprefix({one.drop!r})" if one.add else f"key.removeprefix({one.drop!r})"
        if one.drop or len(keys) == len(one.keys):
            return keys, f"state = {{{new} if key.startswith({one.drop!r}) else key: value for key, value in state.items()}}"
    elif all(f".{one.drop}" in key for key in one.keys):
        keys = {key: key.replace(one.drop, one.add) for key in held if f".{one.drop}" in key}
        return keys, f"state = {{key.replace({one.drop!r}, {one.add!r}): value for key, value in state.items()}}"
    return dict(one.keys), f"names = {dict(one.keys)!r}\nstate = {{names.get(key, key): value for key, value in state.items()}}"


def modern_norms(work: Work) -> None:
    """Name the LayerNorms' gamma and beta weight and bias; where their values are lost, take those of the base."""
    new = {"gamma": "weight", "beta": "bias"}
    keys = {
        key: f"{key.rpartition('.')[0]}.{new[last]}" for key in work.draft.tensors if (last := key.rsplit(".", 1)[-1]) in new
    }
    if keys:
        line = (
            "names = {'gamma': 'weight', 'beta': 'bias'}\n"
            "split = {key: key.rpartition('.') for key in state}\n"
            "state = {a + b + names.get(c, c) if b else key: state[key] for key, (a, b, c) in split.items()}"
        )
        work.rename(keys, line)
        work.done.append(
            f"Renamed gamma to weight and beta to bias in {len(keys)} LayerNorm tensors; their values are unchanged."
        )
    if work.finding.severity != "note":
        parts = work.source.encoder.parts
        work.same_make()
        norms = [name for name, part in parts.items() if part.kind == "norm"]
        work.take(norms)
        work.done.append(
            f"Took {len(norms)} LayerNorm tensors from {work.named_base().name}. They are the right ones as far as this "
            "checkpoint was fine-tuned from it; what fine-tuning changed in them is lost."
        )


def untie(work: Work) -> None:
    """Write the word embeddings from the decoder that was tied to them."""
    name = work.source.encoder.word_embeddings
    shape = work.source.encoder.parts[name].shape
    copies = [key for key, planned in work.draft.tensors.items() if planned.shape == shape and "decoder" in key]
    if len(copies) != 1:
        raise work.refuse(f"{len(copies)} decoders of shape {list(shape)}", expected="the one that was tied to the embeddings")
    if not getattr(work.source.config, "tie_word_embeddings", True):
        raise work.refuse(
            "a config with tie_word_embeddings false: the decoder is no copy", do="take the embeddings from a backup"
        )
    planned, key = work.draft.tensors[copies[0]], work.key_of(name)
    work.draft.put(key, planned.shape, planned.dtype, planned.make)
    work.lines.append(f"state[{key!r}] = state[{copies[0]!r}].clone()")
    work.done.append(f"Wrote {key} as a copy of {copies[0]}, to which it was tied: the values are the same.")
