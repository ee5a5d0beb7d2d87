"""The script of the lookup prints the numbers of the result objects, to the last digit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import bertlens
from bertlens import diagnose
from bertlens.judge.trial import Trial
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.texts import Texts
from bertlens.show.lookup_script import lookup_script
from tests.conftest import Loaded
from tests.scripts import NASTY, PAIRS, TEXTS, assert_well_written, executed, one_thread

__all__ = ["one_thread"]
FAMILIES = ("bert", "distilbert", "roberta", "electra", "albert", "mpnet", "modernbert")

EDITS = "1:scale=2;2:zero;3:noise=0.5@7;1:average=right;0:token=#7"
Numbers = dict[str, Any]


def numbers(printed: str) -> Numbers:
    found: Numbers = {}
    nothing = {"nan": float("nan")}
    for line in printed.splitlines():
        name, _, values = line.rpartition("  ")
        assert name not in found, line
        found[name] = eval(values, {"__builtins__": {}}, nothing)
    return found


def expected(
    checkpoint: Checkpoint, texts: Texts, text: int, edits: str, pooling: str, token: int, near: str, **more: Any
) -> Numbers:
    found, padded = bertlens.lookup(checkpoint, texts, text), diagnose.padded_vectors(checkpoint, texts, text)
    effect = bertlens.edit(checkpoint, texts, text, edits=edits, pooling=pooling, **more)
    told: Numbers = {"max abs to hidden_states[0]": found.embedding.max_abs}
    told |= {f"norm of {name}": listed(values) for name, values in found.norms.items()}
    told |= {f"cosine {pair}": listed(values) for pair, values in found.cosines.items()}
    told |= {f"fed {trial.name}": tried(trial) for trial in found.fed} | {"edited": tried(effect.trial)}
    for (side, way), trial in padded.trials.items():
        told[f"padding {side}" + (", positions" if way == "position_ids" else "")] = tried(trial)
    for state in range(len(effect.states)):
        for name, words in (("change", "change"), ("max_abs", "largest difference"), ("cosine", "cosine")):
            told[f"{words} {state}"] = listed(effect.measures[name][state])
    if effect.neighbours is not None:
        told |= {"neighbours before": listed(effect.neighbours.before), "neighbours after": listed(effect.neighbours.after)}
    if checkpoint.architecture.segments > 1:
        ones = bertlens.compare(
            checkpoint, texts, reference="batch=alone", candidate="batch=alone,segments=ones", readout=pooling
        )
        told["segments all ones"] = [ones.rows[text].max_abs, ones.rows[text].cosine]
    if checkpoint.architecture.takes_positions and isinstance(texts[text], tuple):
        own = diagnose.own_positions(checkpoint, texts)
        told["own positions"] = tried(own.trials[own.texts.index(text)])
    return told | nearest(checkpoint, found, effect, token, near)


def nearest(checkpoint: Checkpoint, found: Any, effect: Any, token: int, near: str) -> Numbers:
    several = len(found.embedding.parts) > 1
    vectors = {"lookup": effect.before[token], "sum": found.vectors["sum"][token]}
    if token in effect.changed:
        vectors["lookup, edited"] = effect.after[token]
        vectors["sum, edited"] = vectors["sum"] + (effect.after[token] - effect.before[token])
    kept = {name: vector for name, vector in vectors.items() if several or name.startswith("lookup")}
    told: Numbers = {}
    for name, entries in diagnose.nearest_entries(checkpoint, kept, measure=near).entries.items():
        if entries:
            told[f"nearest {name}"] = [entry.id for entry in entries]
            told[f"nearest {name}  cosine"] = [entry.cosine for entry in entries]
            told[f"nearest {name}  dot"] = [entry.dot for entry in entries]
    return told


def listed(values: np.ndarray) -> list[float]:
    return [float(value) for value in values]


def tried(trial: Trial) -> list[float]:
    return [trial.row.max_abs, trial.cls_cosine, trial.least_cosine]


def written(
    checkpoint: Checkpoint, texts: Texts, text: int, edits: str, pooling: str, token: int, near: str, **more: Any
) -> str:
    return lookup_script(
        checkpoint.name,
        texts,
        bertlens.lookup(checkpoint, texts, text),
        architecture=checkpoint.architecture,
        max_length=checkpoint.max_length,
        edits=edits,
        padded=diagnose.padded_vectors(checkpoint, texts, text),
        pooling=pooling,
        token=token,
        near=near,
        **more,
    )


def assert_same(checkpoint: Checkpoint, texts: Texts, *how: Any, **more: Any) -> None:
    script = written(checkpoint, texts, *how, **more)
    assert_well_written(script)
    assert "bertlens" not in script.replace(checkpoint.name, "")
    printed, wanted = numbers(executed(script)), expected(checkpoint, texts, *how, **more)
    assert set(printed) == set(wanted)
    wrong = {
        name: (printed[name], wanted[name])
        for name in wanted
        if not np.array_equal(printed[name], wanted[name], equal_nan=True)
    }
    assert not wrong


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_prints_the_same_numbers(loaded: Loaded, name: str) -> None:
    assert_same(loaded(name), TEXTS, 1, EDITS, "mean", 0, "cosine")


@pytest.mark.parametrize("name", ["roberta", "modernbert"])
def test_pairs_and_other_choices(loaded: Loaded, name: str) -> None:
    assert_same(loaded(name), PAIRS, 2, "all:scale=0.5;2:zero", "weightedmean", 2, "dot")


def test_a_vector_of_ones_own_a_word_and_a_single_text(minilm: Checkpoint) -> None:
    vector = np.linspace(-1, 1, 384, dtype=np.float32)
    assert_same(minilm, TEXTS[:1], 0, "1:vector=mine;2:token=river", "cls", 1, "cosine", vectors={"mine": vector})


def test_texts_that_are_hard_to_write_down(loaded: Loaded) -> None:
    assert_same(loaded("bert"), NASTY, len(NASTY) - 1, "", "mean", 0, "cosine")
