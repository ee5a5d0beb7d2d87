"""Sizes: config and file that ask for different shapes, and an embedding matrix that is too short for its tokenizer."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import torch

from bertlens.errors import BertlensError
from bertlens.remedies.work import Work, modules, shapes
from bertlens.run import alignment, blueprint

NUMBER = re.compile(r"\.(\d+)\.")


def fit(work: Work) -> None:
    """Let the config follow the file where the shapes say how; with a base, take the tensors in question from it."""
    if work.base is not None:
        _from_base(work)
        return
    wanted = dict(_layers(work)) | _read_off(work)
    if not wanted:
        raise work.refuse(
            "tensors of the right shape that were drawn anew and never trained",
            expected="--from BASE, which holds the trained ones",
        )
    config = copy.deepcopy(work.source.config)
    for key, value in wanted.items():
        setattr(config, key, value)
    _must_fit(work, config, wanted)
    names = type(config).attribute_map
    for key, value in wanted.items():
        old = getattr(work.source.config, key)
        own = next((name for name in (key, names.get(key, key)) if name in work.draft.look("config.json")), names.get(key, key))
        work.set("config.json", own, to=value)
        work.done.append(f"Set {own} in config.json to {value}, as the file has it; it was {old}.")
    if "hidden_size" in wanted:
        heads = config.num_attention_heads
        work.done.append(f"No shape tells the number of attention heads: the config still says {heads}; make sure of it.")


def _layers(work: Work) -> Iterator[tuple[str, int]]:
    """The number of layers that the file holds, where the config asks for another."""
    parts, prefix = work.source.encoder.parts, f"{work.source.encoder.model.base_model_prefix}."
    patterns = {NUMBER.sub(".#.", name, count=1) for name, part in parts.items() if part.layer is not None}
    plain = [key.removeprefix(prefix) for key in (*shapes(work.source.alignment), *work.draft.tensors)]
    held = {int(number[1]) for key in plain if (number := NUMBER.search(key)) and NUMBER.sub(".#.", key, count=1) in patterns}
    if held and held == set(range(len(held))) and len(held) != work.source.encoder.layers:
        yield "num_hidden_layers", len(held)


def _read_off(work: Work) -> dict[str, int]:
    """Sizes of the config that explain every mismatched dimension; a dimension of several meanings is settled by its tensor."""
    encoder, found = work.source.encoder, dict[str, int]()
    table = encoder.position_table[0] if encoder.position_table else ""
    rows = {encoder.word_embeddings: "vocab_size", table: "max_position_embeddings"}
    rows |= {name: "type_vocab_size" for name in encoder.parts if "token_type_embeddings" in name}
    sizes = [key for key in ("hidden_size", "intermediate_size", "embedding_size") if hasattr(work.source.config, key)]
    for mismatch in work.source.alignment.mismatched:
        if len(mismatch.held) != len(mismatch.asked):
            raise work.refuse(f"{mismatch.name} of shape {list(mismatch.held)}", expected=str(list(mismatch.asked)))
        for at, (held, asked) in enumerate(zip(mismatch.held, mismatch.asked, strict=True)):
            if held == asked:
                continue
            keys = [key for key in sizes if getattr(work.source.config, key) == asked]
            keys = [rows[mismatch.name]] if at == 0 and mismatch.name in rows else keys
            if len(keys) != 1 or found.setdefault(keys[0], held) != held:
                raise work.refuse(
                    f"{mismatch.name} of shape {list(mismatch.held)}, where no single size of the config makes it so",
                    expected=str(list(mismatch.asked)),
                    do="name a base with --from to take these tensors from it",
                )
    return found


def _must_fit(work: Work, config: Any, wanted: dict[str, int]) -> None:
    """Build the model of the changed config and hold it against the file."""
    try:
        after = alignment.align(blueprint.base(config, work.source.name), work.source.weights)
    except (BertlensError, ValueError) as error:
        raise work.refuse(f"{wanted}, of which no model can be made ({error})", do="mend config.json by hand") from error
    if after.mismatched:
        first = after.mismatched[0]
        raise work.refuse(f"{first.name} of shape {list(first.held)} even with {wanted}", expected=str(list(first.asked)))


def _from_base(work: Work) -> None:
    source = work.source
    work.same_make()
    names = [m.name for m in source.alignment.mismatched] + [
        n for n in source.alignment.missing if "pooler" not in n.split(".")
    ]
    drawn = {m.name for m in work.before.modules if m.state == "newly drawn" and m.kind in ("linear", "embedding")}
    names += [name for name, part in source.encoder.parts.items() if part.module in drawn and "pooler" not in name.split(".")]
    names = modules(source.encoder.parts, names)
    if not names:
        raise work.refuse("more layers in the file than in the config", do="repair without --from: the config follows the file")
    work.take(names)
    work.done.append(
        f"Took {len(names)} tensors from {work.named_base().name}, first {names[0]}. They belong to this model as far as it "
        "was trained from that one."
    )


def more_rows(work: Work) -> None:
    """Give the word embeddings, and whatever is as long as they are, a row for every token; the new rows are the mean."""
    source = work.source
    if source.tokenizer is None or source.word_embeddings is None:
        raise work.refuse("no tokenizer, or no word embeddings in the file")
    rows, wanted = len(source.word_embeddings), max(source.tokenizer.get_vocab().values()) + 1
    if wanted <= rows:
        raise work.refuse(f"{rows} rows and ids up to {wanted - 1}: every token has its row")
    config = copy.deepcopy(source.config)
    config.vocab_size = wanted
    grown = [key for key in _as_long(work, config, wanted) if work.draft.tensors[key].shape[0] == rows]
    for key in grown:
        shape = work.draft.tensors[key].shape
        work.draft.change(key, lambda old: _extended(old, wanted - rows), shape=(wanted, *shape[1:]))
    work.lines.append(
        f"for key in {grown!r}:\n"
        "    old = state[key]\n"
        "    mean = old.double().mean(0, keepdim=True).to(old.dtype)\n"
        f"    state[key] = torch.cat([old, mean.expand({wanted - rows}, *old.shape[1:])])"
    )
    work.set("config.json", "vocab_size", to=wanted)
    work.done.append(
        f"Gave {', '.join(grown)} {wanted - rows} more rows, {wanted} in all, each the mean of the {rows} old ones. "
        "No text fails any more, but the new rows are untrained: train them, or keep their tokens out of your texts."
    )


def _extended(old: torch.Tensor, rows: int) -> torch.Tensor:
    mean = old.double().mean(0, keepdim=True).to(old.dtype)
    return torch.cat([old, mean.expand(rows, *old.shape[1:])])


def _as_long(work: Work, config: Any, wanted: int) -> list[str]:
    """Keys of the tensors that grow with the vocabulary: the embeddings, and in a masked-LM head its decoder and bias."""
    found = []
    pairs = [(blueprint.base(config, work.source.name), work.source.alignment)]
    if work.source.head_alignment is not None and (head := blueprint.declared(config, work.source.name)):
        pairs.append((head, work.source.head_alignment))
    for new, old in pairs:
        held = dict(old.loaded) | {mismatch.name: mismatch.key for mismatch in old.mismatched}
        found += [key for name, key in held.items() if new.parts[name].shape[:1] == (wanted,)]
    return list(dict.fromkeys(found))
