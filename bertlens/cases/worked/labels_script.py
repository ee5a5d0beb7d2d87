"""Labels script: readouts compared on labels, and a pooler trained with a classifier, as Python without bertlens.

Needs torch, transformers and scikit-learn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bertlens.cases.script import source_of
from bertlens.read.folds import STEPS
from bertlens.read.pooler_fit import fit, predicted
from bertlens.read.readout import Readout
from bertlens.remedies.trained_pooler import FLAT, LEARNT
from bertlens.run.condition import Condition
from bertlens.run.labels import Labelled
from bertlens.show.passes import Passes
from bertlens.show.pooling_script import AT_ONCE, POOLED, reader, vectors_function
from bertlens.show.runs import attention_of
from bertlens.show.script import imports, loaded, named

if TYPE_CHECKING:
    from bertlens.judge.probing import Probe
    from bertlens.run.architecture import Architecture

FUNCTIONS: tuple[Any, ...] = (fit, predicted)
"""What bertlens runs itself, taken from its source."""

COMPARED = """\
dealt = list(RepeatedStratifiedKFold(n_splits={folds}, n_repeats={repeats}, random_state={seed}).split(labels, labels))
for name, x in {{**vectors, "majority class": torch.zeros(len(labels), 1)}}.items():
    x = x.double().numpy()
    accuracies, f1s = [], []
    for learn, test in dealt:
        layer = make_pipeline(StandardScaler(), LogisticRegression(max_iter={steps}))
        if name == "majority class":
            layer = DummyClassifier()
        said = layer.fit(x[learn], labels[learn]).predict(x[test])
        accuracies.append(float((said == labels[test]).mean()))
        f1s.append(float(f1_score(labels[test], said, average="macro", zero_division=0.0)))
    mean, f1 = np.mean(accuracies).item(), np.mean(f1s).item()
    print(f"{{name}}  accuracy {{mean!r}}  spread {{np.std(accuracies, ddof=1).item()!r}}  macro-F1 {{f1!r}}")

# the classifier to keep: one linear layer on {best}, trained on every text
classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter={steps}))
classifier.fit(vectors["{best}"].double().numpy(), labels)
print("classes", classifier.classes_.tolist())
"""

TRAINED = """\
# held out: every fold trains a pooler and a classifier of its own
states = vectors["cls"].double()
classes = sorted(set(labels.tolist()))
targets = torch.tensor([classes.index(label) for label in labels])
accuracies = []
dealt = RepeatedStratifiedKFold(n_splits={folds}, n_repeats={repeats}, random_state={seed})
for learn, test in dealt.split(labels, labels):
    *parts, _ = fit(states[learn], targets[learn], len(classes), {spread}, {seed}, {flat})
    accuracies.append((predicted(states[test], *parts).argmax(1) == targets[test]).double().mean().item())
print(f"{learnt}  accuracy {{np.mean(accuracies).item()!r}}  spread {{np.std(accuracies, ddof=1).item()!r}}")

# the pooler and the classifier to keep, trained on every text
weight, bias, rows, shift, _ = fit(states, targets, len(classes), {spread}, {seed}, {flat})
for name, value in model.named_parameters():
    if "pooler" in name.split("."):
        value.data = (weight if name.endswith("weight") else bias).float()
with tempfile.TemporaryDirectory() as folder:
    model.save_pretrained(folder)
    loads = [vectors_of(AutoModel.from_pretrained(folder, dtype=torch.float32).eval())["pooler"] for _ in range(2)]
print(f"pooler_output of two loads  equal {{torch.equal(*loads)}}")
"""


def probe_script(checkpoint: str, labelled: Labelled, found: Probe, *, architecture: Architecture, max_length: int) -> str:
    """Every readout of a probe with its accuracy, spread and macro-F1, the majority class, and the classifier to keep.

    Parameters
    ----------
    checkpoint : "minilm", a folder or a Hub id.
    max_length : tokens at which texts are truncated, `Checkpoint.max_length`.
    """
    says = "Which readout is best on labels: a linear layer on each, cross-validated; the encoder stays as it is."
    readouts = [one.name for one in found.readouts]
    how = {"folds": found.folds, "repeats": found.repeats, "seed": found.seed, "steps": f"{STEPS}", "best": found.best.name}
    sklearn = {
        "dummy": "DummyClassifier",
        "linear_model": "LogisticRegression",
        "metrics": "f1_score",
        "model_selection": "RepeatedStratifiedKFold",
        "pipeline": "make_pipeline",
        "preprocessing": "StandardScaler",
    }
    head = _beginning(says, checkpoint, labelled, sklearn, architecture)
    return "\n".join([*head, *_vectors(readouts, labelled, architecture, max_length), COMPARED.format(**how)])


def training_script(
    checkpoint: str,
    labelled: Labelled,
    *,
    folds: int,
    repeats: int,
    seed: int,
    spread: float,
    architecture: Architecture,
    max_length: int,
) -> str:
    """A pooler trained with a classifier: its accuracy on texts held out, and two loads of the saved model.

    Parameters
    ----------
    spread : standard deviation of the pooler's draw, the config's initializer_range.
    """
    says = "A pooler trained with a classifier on labelled texts; the encoder stays as it is."
    head = _beginning(says, checkpoint, labelled, {"model_selection": "RepeatedStratifiedKFold"}, architecture, "tempfile")
    functions = [line for one in FUNCTIONS for line in (*_plain(source_of(one)).split("\n"), "", "")]
    values = {"folds": folds, "repeats": repeats, "seed": seed, "spread": spread, "flat": FLAT, "learnt": LEARNT}
    vectors = _vectors(["cls", "pooler"], labelled, architecture, max_length)
    return "\n".join([*head, *functions, *vectors, TRAINED.format(**values)])


def _beginning(
    says: str, checkpoint: str, labelled: Labelled, sklearn: dict[str, str], architecture: Architecture, *standard: str
) -> list[str]:
    """Imports, texts, labels and the model."""
    *first, torch, transformers = imports(checkpoint, *standard)
    return [
        f'"""{says}',
        "",
        "Needs torch, transformers and scikit-learn.",
        '"""\n',
        *first,
        "import numpy as np",
        torch,
        *(f"from sklearn.{module} import {name}" for module, name in sklearn.items()),
        transformers,
        "",
        *named(checkpoint, labelled.texts),
        "labels = np.array(",
        "    [",
        *(f"        {label!r}," for label in labelled.labels),
        "    ]",
        ")",
        *loaded(attention_of(Condition(), architecture), "torch.float32", "cpu"),
        "\n",
    ]


def _vectors(readouts: Sequence[str], labelled: Labelled, architecture: Architecture, max_length: int) -> list[str]:
    """A function of the model that reads every text, and its call."""
    condition = Condition(batch=AT_ONCE) if len(labelled.texts) > AT_ONCE else Condition()
    passes = Passes(condition, labelled.texts, architecture, max_length, tokens=True)
    return [
        POOLED.rstrip("\n"),
        "\n",
        *reader([Readout.parse(name) for name in readouts], architecture.layers, narrow=False),
        "\n",
        *vectors_function(passes, readouts, every=True),
        "\n",
        "vectors = vectors_of(model)",
    ]


def _plain(source: str) -> str:
    """Source without the marks for a type checker."""
    return re.sub(r"  # type: ignore\[.*\]", "", source)
