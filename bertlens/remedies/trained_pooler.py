"""Trained pooler: a pooler with a classifier is trained on labelled texts, written into a copy, and verified there."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers

from bertlens.diagnose import check, compare, pool
from bertlens.diagnose.probing import dealings_for, majority
from bertlens.errors import BertlensError
from bertlens.judge.measures import plain
from bertlens.judge.probing import Scores, scores
from bertlens.judge.told_apart import of_guessing
from bertlens.judge.weights.load_report import is_pooler
from bertlens.judge.wording import number
from bertlens.read.folds import put_back, splits
from bertlens.read.pooler_fit import fit, predicted
from bertlens.run import rewrite
from bertlens.run.checkpoint import load
from bertlens.run.condition import Condition
from bertlens.run.dossier import Dossier, compile_
from bertlens.run.headed import KINDS, headed
from bertlens.run.inputs import prepare
from bertlens.run.labels import as_labels, fitting_folds
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import Texts, as_texts

if TYPE_CHECKING:
    import pandas as pd

    from bertlens.judge.checkpoint.checkup import Checkup
    from bertlens.judge.comparison import Comparison
    from bertlens.run.checkpoint import Checkpoint

FLAT = 0.02
"""The steepest slope at which a fit ends; the loss is a sum over texts."""

HEADS = {
    ("classifier.weight", "classifier.bias"): (),
    ("classifier.out_proj.weight", "classifier.out_proj.bias"): ("classifier.dense.weight", "classifier.dense.bias"),
}
"""Where a class keeps its classifier, and where dense and tanh of its own before it, which it reads in the pooler's place."""

LEARNT = "pooler and classifier"
VERIFIED = 8
"""Texts on which the written folder is read again."""


@dataclass(frozen=True)
class TrainedPooler:
    """A pooler that was trained with a classifier, written into a folder and read again.

    Attributes
    ----------
    out : the new folder; `files` in it.
    cls : the class in which the classifier loads, "" where this family's reads no pooler and has no place for it.
    classes : the labels in the order of the logits.
    learnt, guess : on texts held out: pooler and classifier, and the majority class.
    chance : probability of their distance if the classifier had learnt nothing.
    converged : whether every fit ended by itself.
    loads : pooler_output of two loads of the folder.
    state, reason : what the untrained-weights check says of the new pooler, and why.
    after : the whole check of the folder.
    notes : what a reader must know about how it was computed.
    """

    out: str
    files: tuple[str, ...]
    cls: str
    classes: tuple[str, ...]
    learnt: Scores
    guess: Scores
    chance: float
    converged: bool
    loads: Comparison = field(repr=False)
    state: str
    reason: str
    after: Checkup = field(repr=False)
    notes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Whether it can be repeated, what it is worth on texts held out, and what the check says of it."""
        same = "the same to the last bit" if self.loads.verdict == "identical" else f"not the same ({self.loads.verdict})"
        return (
            f"Trained: pooler_output of two loads is {same}; on texts held out its classifier is right in "
            f"{self.learnt.accuracy:.2f} (± {self.learnt.spread:.2f} between folds), the majority class in "
            f"{self.guess.accuracy:.2f} (p = {number(self.chance)}); the untrained-weights check says of this pooler: "
            f"{self.state}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The document `bertlens.trained-pooler/1`."""
        lines = [{key: plain(value) for key, value in line.items()} for line in self.to_frame().to_dict("records")]
        return {
            "schema": "bertlens.trained-pooler/1",
            "sentence": self.sentence,
            "out": self.out,
            "files": list(self.files),
            "class": self.cls,
            "classes": list(self.classes),
            "held_out": lines,
            "probability": plain(self.chance),
            "converged": self.converged,
            "repeatable": self.loads.verdict == "identical",
            "pooler": {"state": self.state, "reason": self.reason},
            "after": self.after.to_dict(),
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """Accuracy and macro-F1 on texts held out, of the classifier and of the majority class."""
        import pandas as pd

        return pd.DataFrame([one.to_dict() for one in (self.learnt, self.guess)])


def train_pooler(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    labels: Iterable[Any],
    out: str | Path,
    *,
    folds: int = 5,
    repeats: int = 1,
    seed: int = 0,
    progress: Progress = silent,
) -> TrainedPooler:
    """Train a pooler and a classifier on [CLS] of labelled texts, write both into a copy of the checkpoint, and verify it.

    The encoder stays as it is, so its [CLS] states are computed once. What is written was trained on all texts; what it is
    worth is measured by cross-validation.

    Parameters
    ----------
    out : the folder to write; new or empty, and outside of the checkpoint.
    folds, repeats, seed : of the cross-validation, as `probe` has them, but once unless told: every fold trains a whole pooler.
        The seed also draws the pooler to start from.

    Raises
    ------
    BertlensError
        For a model without a pooler, for labels that do not fit, and for a folder that is not free. Nothing is left of the
        new folder then.
    """
    whole = as_texts(texts)
    given = as_labels(labels, whole)
    fitting, dealings = fitting_folds(given, folds), dealings_for(len(whole), repeats)
    if not checkpoint.architecture.pooler:
        got = f"a model without a pooler ({checkpoint.architecture.kind})"
        raise BertlensError(f"cannot train a pooler for {checkpoint.name}", got=got, do="read cls or mean instead")
    source = compile_(checkpoint.name)
    place = rewrite.refuse(Path(out), source.documents.root)
    pooled = pool(checkpoint, whole, ["cls"], progress=progress)
    states = torch.from_numpy(pooled.vectors["cls"]).double()
    classes = tuple(sorted(set(given)))
    targets = torch.tensor([classes.index(label) for label in given])
    spread = float(getattr(source.config, "initializer_range", 0.02))

    dealt, said, slopes = splits(given, fitting, dealings, seed), [], []
    for at, (learn, test) in enumerate(dealt):
        progress(at, len(dealt) + 1, "training on the other folds")
        *parts, slope = fit(states[learn], targets[learn], len(classes), spread, seed, FLAT)
        said.append(np.asarray(classes)[predicted(states[test], *parts).argmax(1)])
        slopes.append(float(slope))
    progress(len(dealt), len(dealt) + 1, "training on all texts")
    *parts, slope = fit(states, targets, len(classes), spread, seed, FLAT)
    known = np.asarray(given)
    learnt, guess = scores(LEARNT, known, put_back(said, dealt, len(given)), dealt), majority(known, dealt)

    cls, draft = _draft(source, [part.float() for part in parts], classes)
    files = rewrite.write(draft, place)
    try:
        loads = _verified(str(place), whole[:VERIFIED], [part.float() for part in parts], cls)
        after = check(str(place), progress=progress)
    except BaseException:
        shutil.rmtree(place)
        raise
    new = next(one for one in after.modules if is_pooler(one.name))
    converged = max([*slopes, float(slope)]) <= FLAT
    lowered = f"{fitting} folds instead of {folds}: the smallest class has {fitting} texts."
    return TrainedPooler(
        out=str(out),
        files=files,
        cls=cls,
        classes=classes,
        learnt=learnt,
        guess=guess,
        chance=of_guessing(learnt.right, guess.right, dealt),
        converged=converged,
        loads=loads,
        state=new.state,
        reason=new.reason,
        after=after,
        notes=(
            *([lowered] if fitting < folds else []),
            *([] if converged else ["A fit had not ended when its steps were done: more steps would move it a little."]),
            *pooled.notes,
        ),
    )


def _draft(source: Dossier, parts: Sequence[torch.Tensor], classes: tuple[str, ...]) -> tuple[str, rewrite.Draft]:
    """The copy with the new tensors, under the names that the family's classifier has; its class, "" where it has no place."""
    weight, bias, rows, shift = parts
    draft = rewrite.draft(source)
    prefix = source.encoder.model.base_model_prefix
    draft.rename({key: f"{prefix}.{name}" for name, key in source.alignment.loaded.items()})
    new = {f"{prefix}.{name}": weight if name.endswith("weight") else bias for name in source.encoder.parts if is_pooler(name)}
    made = _class(source.config)
    cls, named = "", set()
    if made is not None:
        with torch.device("meta"):
            named = set(made(copy.deepcopy(source.config)).state_dict())
    for places, own in HEADS.items():
        if made is not None and named.issuperset((*places, *own)) and ("classifier.dense.weight" in named) == bool(own):
            new |= dict(zip((*places, *own), (rows, shift, weight, bias), strict=False))
            cls = made.__name__
    for name, tensor in new.items():
        draft.put(name, tuple(tensor.shape), "float32", lambda tensor=tensor: tensor)  # type: ignore[misc]
    if cls:
        document = draft.document("config.json")
        document["architectures"] = [cls]
        document["id2label"] = {str(at): label for at, label in enumerate(classes)}
        document["label2id"] = {label: at for at, label in enumerate(classes)}
    return cls, draft


def _class(config: Any) -> Any:
    """The family's class for sequence classification, None where it has none."""
    mapping = getattr(transformers, KINDS["sequence"].auto)._model_mapping
    return mapping.get(type(config), None)


def _verified(folder: str, texts: Texts, parts: Sequence[torch.Tensor], cls: str) -> Comparison:
    """Two loads compared; refused where the loaded model computes something else than what was trained."""
    one, other = load(folder), load(folder)
    loads = compare(one, texts, reference="", candidate="", readout="pooler", against=other)
    vectors = pool(one, texts, ["cls", "pooler"]).vectors
    states, pooler = (torch.from_numpy(vectors[name]) for name in ("cls", "pooler"))
    weight, bias, rows, shift = parts
    same = torch.allclose(pooler, torch.tanh(states @ weight.T + bias), atol=1e-4)
    if cls:
        batch = next(iter(prepare(one, texts, Condition()))).tensors
        with torch.inference_mode():
            logits = headed(one, "sequence").instance()(**batch).logits
        same = same and torch.allclose(logits, predicted(states, weight, bias, rows, shift), atol=1e-3, rtol=1e-3)
    if not same:
        raise BertlensError(
            f"cannot train a pooler for {one.architecture.kind}",
            got="a pooler that is not dense and tanh",
            do="read cls or mean",
        )
    return loads
