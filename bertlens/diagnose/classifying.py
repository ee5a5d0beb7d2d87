"""Heads: how a model gets from its last hidden state to its answer, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bertlens.errors import BertlensError
from bertlens.judge.findings import most_serious_first, of_truncation
from bertlens.judge.head import AT_ONCE, MOST, Field, Head, Predictions
from bertlens.judge.head_findings import of_head
from bertlens.judge.head_steps import of_position, steps_of
from bertlens.judge.token_answers import TokenAnswers, fills, labelled, spans
from bertlens.read.head import Follow, Trace, following
from bertlens.read.special_rows import special_rows
from bertlens.run.condition import Condition
from bertlens.run.headed import Headed, headed
from bertlens.run.inputs import Batch, Inputs, prepare
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import Texts, as_texts, check_index

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

AXES = {
    "sequence": ("batch", "classes"),
    "masked-lm": ("batch", "tokens", "vocabulary"),
    "token": ("batch", "tokens", "classes"),
    "question": ("batch", "tokens"),
}
"""Axes of the outputs of each kind of head."""


def head(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    text: int = 0,
    *,
    kind: str = "",
    token: int = 0,
    progress: Progress = silent,
) -> Head:
    """Follow one text through the head of the checkpoint, step by step, and list what it says about the others.

    Parameters
    ----------
    kind : a key of `bertlens.run.headed.KINDS`; "" for what the config declares.
    token : position that a head over tokens is looked at; a masked-language model fills it where the text has no mask.

    Raises
    ------
    BertlensError
        For texts that cannot be run or a head that the architecture does not have.
    """
    whole, one, inputs = of_one(checkpoint, texts, text, kind)
    batch, row = next(iter(inputs)), inputs.tokens[0]
    model = one.own_instance()
    position, masked = _position(checkpoint, one.kind, batch, token)
    with torch.inference_mode(), following(model) as follow:
        found = follow(on_device(one.device, batch), batch.real.to(one.device))
        steps = steps_of(found, one.drawn, position)
        replaced = _replaced(found, position)
        predictions = _predictions(checkpoint, one.device, whole, follow, progress) if one.kind == "sequence" else None
    names = tuple(map(str, checkpoint.tokenizer.convert_ids_to_tokens(batch.tensors["input_ids"][0].tolist())))
    labels = labels_of(model.config) if one.kind in ("sequence", "token") else ()
    matrix = model.get_input_embeddings().weight
    last = found.calls[-1]
    share = _contributions(last.inputs) if one.kind == "sequence" and last.name == "linear" else None
    tied = {"masked": masked, "labels": labels}
    return Head(
        checkpoint=checkpoint.to_dict(),
        kind=one.kind,
        cls=one.cls,
        declared=one.declared,
        drawn=one.drawn,
        seed=one.seed,
        text=text,
        tokens=names,
        ids=tuple(batch.tensors["input_ids"][0].tolist()),
        segments=row.segments,
        special=row.special,
        position=position,
        steps=steps,
        rows=special_rows(checkpoint.tokenizer, matrix),
        is_row=torch.equal(found.lookup[0, 0], matrix[batch.tensors["input_ids"][0, 0]]),
        fields=tuple(_field(one.kind, name, value) for name, value in found.fields.items()),
        labels=labels,
        activation=_activation(model.config),
        contributions=None if share is None else share[0],
        bias=None if share is None else share[1],
        taken=found.taken(),
        replaced=replaced,
        predictions=predictions,
        answers=_answers(checkpoint, one.kind, found, batch, names, row.segments, tied),
        findings=most_serious_first([*of_head(one, model, steps), *of_truncation(inputs.tokens, inputs.tokens)]),
        notes=_notes(checkpoint, one, whole, text, masked),
    )


def of_one(checkpoint: Checkpoint, texts: Sequence[Any] | str, text: int, kind: str) -> tuple[Texts, Headed, Inputs]:
    """All texts, the model with its head, and the one text prepared without padding."""
    whole = as_texts(texts)
    check_index(whole, text)
    return whole, headed(checkpoint, kind), prepare(checkpoint, (whole[text],), Condition())


def on_device(device: str, batch: Batch) -> dict[str, torch.Tensor]:
    """What is passed to the model, on its device."""
    return {name: tensor.to(device) for name, tensor in batch.tensors.items()}


def _position(checkpoint: Checkpoint, kind: str, batch: Batch, token: int) -> tuple[int, str]:
    """The token that is looked at, and the one that was masked for it because the text has no mask; the batch is changed."""
    ids = batch.tensors["input_ids"]
    place = min(max(token, 0), ids.shape[1] - 1)
    if kind != "masked-lm":
        return place, ""
    hidden = checkpoint.tokenizer.mask_token_id
    if hidden is None:
        raise BertlensError("cannot fill a mask", got="a tokenizer without a mask token", do="choose another kind of head")
    if bool((ids == hidden).any()):
        masks = (ids[0] == hidden).nonzero().flatten().tolist()
        return (place if place in masks else masks[0]), ""
    content = (batch.special[0] == 0).nonzero().flatten().tolist()
    place = place if place in content else content[0]
    was = str(checkpoint.tokenizer.convert_ids_to_tokens(int(ids[0, place])))
    ids[0, place] = hidden
    return place, was


def labels_of(config: Any) -> tuple[str, ...]:
    """Names of the classes, in the order of the logits."""
    return tuple(str(config.id2label[number]) for number in sorted(config.id2label))


def _activation(config: Any) -> str:
    """What makes probabilities of the logits; a single logit is a score and has none."""
    if config.num_labels == 1 or config.problem_type == "regression":
        return ""
    return "sigmoid" if config.problem_type == "multi_label_classification" else "softmax"


def _contributions(inputs: list[torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    x, weight, *bias = (one.detach().float().cpu() for one in inputs)
    return (x[0] * weight).numpy(), (bias[0] if bias else torch.zeros(len(weight))).numpy()


def _field(kind: str, name: str, value: torch.Tensor) -> Field:
    return Field(name, AXES[kind][: value.ndim], tuple(value.shape), str(value.dtype).removeprefix("torch."))


def _replaced(found: Trace, position: int) -> dict[str, tuple[np.ndarray, ...]]:
    """The values of every step with another vector in the head's place."""
    vector = found.vector()
    if vector is None:
        return {}
    each = {}
    for name, other in found.readouts().items():
        again = found.replay({id(found.last): found.last, id(vector): other})
        outs = [found.last, *(call.outputs[0] for call in found.calls)]
        each[name] = tuple(of_position(again[id(out)], position) for out in outs)
    return each


def _predictions(checkpoint: Checkpoint, device: str, texts: Texts, follow: Follow, progress: Progress) -> Predictions:
    """All texts through the head as it is, and with [CLS] and the mean in its place."""
    inputs = prepare(checkpoint, texts[:MOST], Condition(batch=AT_ONCE))
    found = dict[str, list[torch.Tensor]]()
    for done, batch in enumerate(inputs):
        progress(done, len(inputs), "forward passes")
        part = follow(on_device(device, batch), batch.real.to(device))
        found.setdefault("own", []).append(part.logits)
        for name, other in part.readouts().items():
            again = part.replay({id(part.last): part.last, id(part.vector()): other})
            found.setdefault(name, []).append(again[id(part.logits)])
    return Predictions({name: torch.cat(parts).float().cpu().numpy() for name, parts in found.items()}, len(texts))


def _answers(
    checkpoint: Checkpoint,
    kind: str,
    found: Trace,
    batch: Batch,
    names: tuple[str, ...],
    segments: tuple[int, ...],
    tied: dict[str, Any],
) -> TokenAnswers | None:
    ids, special = batch.tensors["input_ids"][0].tolist(), tuple(batch.special[0].tolist())
    logits = found.logits[0].float().cpu()
    if kind == "masked-lm":
        masks = [place for place, token in enumerate(ids) if token == checkpoint.tokenizer.mask_token_id]
        return fills(logits, masks, checkpoint.tokenizer)
    if kind == "token":
        return labelled(logits, names, special, tied["labels"])
    if kind == "question":
        return spans(
            logits, list(found.fields.values())[1][0].float().cpu(), _context(special), tuple(ids), checkpoint.tokenizer
        )
    return None


def _context(special: tuple[int, ...]) -> list[int]:
    """Where an answer may stand: the word pieces after the separator of a pair, else all; all positions without any."""
    content = [place for place, one in enumerate(special) if not one]
    gaps = [at for at in range(1, len(content)) if content[at] > content[at - 1] + 1]
    return (content[gaps[0] :] if gaps else content) or list(range(len(special)))


def _notes(checkpoint: Checkpoint, one: Headed, texts: Texts, text: int, masked: str) -> tuple[str, ...]:
    found = []
    if not one.declares:
        says = f"declares {one.declared}" if one.declared else "declares no class"
        found.append(f"The config {says}; it is loaded as {one.cls} here.")
    if masked:
        found.append(f"The text has no mask, so the token “{masked}” was replaced by one.")
    if not isinstance(texts[text], str) and checkpoint.architecture.segments < 2:
        found.append("This architecture has no segments: only the separators tell it where the second sentence begins.")
    if one.kind == "sequence" and len(texts) > MOST:
        found.append(f"Predictions are listed for the first {MOST} of {len(texts):,} texts.")
    return tuple(found)
