"""Pooler: one that is missing or was never trained is taken from a base, or taken away."""

from __future__ import annotations

from bertlens.judge.weights.load_report import is_pooler
from bertlens.remedies.work import Work, modules


def complete(work: Work) -> None:
    """Take the base's pooler for one that the file does not hold."""
    if work.base is None:
        raise work.refuse(
            "no pooler in the file and no base to take one from",
            expected="--from BASE, the checkpoint that this one was trained from",
            do="or read outputs.last_hidden_state[:, 0] and load with AutoModel.from_pretrained(name, add_pooling_layer=False)",
        )
    _adopt(work)


def replace_or_drop(work: Work) -> None:
    """Take the base's pooler for one that was never trained; without a base, remove the dead one."""
    if reading := _readers(work):
        raise work.refuse(
            f"a head whose {', '.join(reading)} are computed from this pooler",
            expected="a pooler that nothing in the file reads",
            do="keep it for the head, and read outputs.last_hidden_state instead of pooler_output",
        )
    if work.base is not None:
        _adopt(work)
        return
    keys = [key for name, key in work.source.alignment.loaded.items() if is_pooler(name)]
    work.drop(keys)
    work.done.append(
        f"Removed {', '.join(keys)}, which were never trained. Load with AutoModel.from_pretrained(name, "
        "add_pooling_layer=False): without it transformers draws a new pooler at every load, but it now says so, and the check "
        "reports pooler-missing instead of a pooler that looks sound."
    )


def _adopt(work: Work) -> None:
    parts = work.source.encoder.parts
    names = modules(parts, [name for name in parts if is_pooler(name)])
    work.take(names, proven=True)
    taken = ", ".join(work.key_of(name) for name in names)
    work.done.append(
        f"Took {taken} from {work.named_base().name}, where they are trained. They were trained on the hidden states of that "
        "model, not of this one: pooler_output is now the same at every load and no longer noise, but how much it means here "
        "only a task can tell."
    )


def _readers(work: Work) -> list[str]:
    """Outputs of a head that depend on the pooler and whose weights are in the file."""
    alignment = work.source.head_alignment
    if alignment is None:
        return []
    parts = alignment.blueprint.parts
    own = {part.module for part in work.source.encoder.parts.values()}
    prefix = f"{alignment.blueprint.model.base_model_prefix}."
    head: set[str] = set()
    for name in alignment.loaded:
        if parts[name].module.removeprefix(prefix) not in own:
            head |= set(parts[name].outputs)
    read = {output for name, part in parts.items() if is_pooler(name) for output in part.outputs}
    return sorted(head & read - {"pooler_output"})
