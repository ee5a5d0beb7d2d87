"""The script of the layers prints the numbers of the result objects, up to the rounding of other batches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertlens
from bertlens.judge.layers import Layers
from bertlens.read.sample import TOKENS
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.texts import Texts
from bertlens.show.layers_script import layers_script
from tests.families import FAMILIES
from tests.scripts import NASTY, PAIRS, TEXTS, Load, assert_well_written, executed, in_a_process, load, one_thread

__all__ = ["load", "one_thread"]

LINE = re.compile(r"(.+)  \[(.*)\]")
UNITS = re.compile(r"(.+)  units (\[.*\]) add")
Numbers = dict[str, np.ndarray]

MANY: Texts = tuple(f"{one} {other} number {at}" for at, one in enumerate(TEXTS * 5) for other in ("once", "again", "and then"))
LONG: Texts = (" ".join(["word after word"] * 60), *TEXTS)


def written(checkpoint: Checkpoint, texts: Texts, pooling: str = "mean", **more: Any) -> str:
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    return layers_script(checkpoint.name, texts, pooling=pooling, **facts, **more)


def numbers(printed: str) -> Numbers:
    found: Numbers = {}
    for line in printed.splitlines():
        match = LINE.fullmatch(line)
        assert match, line
        assert match[1] not in found, line
        found[match[1]] = np.array([float(value) for value in match[2].split(", ")])
    return found


def expected(checkpoint: Checkpoint, texts: Texts, pooling: str, text: int = 0, token: int = 0, state: int = -1) -> Numbers:
    result = bertlens.layers(checkpoint, texts)
    course, path = result.course(pooling), bertlens.token_path(checkpoint, texts, text)
    found: Numbers = {}
    moved = result.travel
    for name, group in moved.mean:
        every = (moved.mean, moved.smallest, moved.largest)
        found |= listed(f"{group} {{}}  {name}", np.stack([moments[name, group] for moments in every], axis=1))
    for name, values in path.measures.items():
        found |= listed(f"tokens {{}}  {name}", values)
    found |= listed("units {}", path.values[:, token, :6])
    for name, values in course.measures.items():
        found |= listed(f"vectors {{}}  {name}", values)
    found |= listed("cosines of text {}", course.similarity(state))
    if np.isfinite(course.vectors).all((0, 2)).sum() > 1:
        found |= listed("vectors {}  pairs", np.stack(list(course.pairs.values()), axis=1))
    trail = course.trail()
    found["plane  explained"] = trail.explained
    ways = trail.coordinates.swapaxes(0, 1)
    found |= listed("plane  way {}", ways[np.isfinite(ways).all((1, 2))].reshape(-1, 2 * len(result.states)))
    for name, alike, least in (("CKA {}", result.cka, 2), ("debiased CKA {}", result.cka_debiased, 4)):
        found |= listed(name, alike) if result.anisotropy.tokens >= least else {}
    for name, one in (("unrelated", result.anisotropy), ("control", result.control), ("fresh", result.baseline)):
        assert one is not None
        if np.isfinite(one.mean).all():
            parts = {"mean": one.mean[:, None], "quantiles": one.quantiles, "centred": one.centred[:, None]}
            for part, values in parts.items():
                found |= listed(f"{name} {{}}  {part}", values)
    return found


def listed(name: str, values: np.ndarray) -> Numbers:
    return {name.format(at): row for at, row in enumerate(values)}


def split(found: Numbers) -> tuple[Numbers, dict[str, dict[int, float]]]:
    """The plain lines, and the outlier units by state: their numbers, and what they add."""
    units = {}
    for name in list(found):
        if match := UNITS.fullmatch(name):
            units[match[1]] = dict(zip(eval(match[2]), found.pop(name).tolist(), strict=True))
    return found, units


def assert_same(found: Numbers, wanted: Numbers) -> None:
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        # cosines and shares of 1 hold 1e-6 of float32's rounding, whatever their own size
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=2e-5, err_msg=name)


def checked(checkpoint: Checkpoint, texts: Texts, pooling: str = "mean", **more: Any) -> Layers:
    script = written(checkpoint, texts, pooling, **more)
    assert_well_written(script)
    found, units = split(numbers(executed(script)))
    assert_same(found, expected(checkpoint, texts, pooling, **more))
    result = bertlens.layers(checkpoint, texts)
    for place, adds in units.items():
        if place.startswith("unrelated "):
            every = result.outliers.contributions[int(place.split()[1])]
            np.testing.assert_allclose(list(adds.values()), every[list(adds)], rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(sorted(adds.values()), np.sort(every)[-3:], rtol=1e-4, atol=1e-6)
    assert any(place.startswith("unrelated ") for place in units) == bool(result.anisotropy.pairs)
    return result


@pytest.mark.parametrize("texts", [TEXTS, PAIRS, (*PAIRS[:2], *TEXTS[:2])], ids=["texts", "pairs", "mixed"])
@pytest.mark.parametrize("name", ["minilm", *FAMILIES])
def test_every_family_prints_the_numbers_of_the_page(load: Load, name: str, texts: Texts) -> None:
    checked(load(name), texts, text=1, token=2, state=1)


@pytest.mark.parametrize("pooling", ["cls", "mean_content", "max", "weightedmean", "lasttoken", "mean_sqrt_len_tokens"])
def test_every_pooling_is_followed(load: Load, pooling: str) -> None:
    checked(load("bert"), TEXTS, pooling)


@pytest.mark.parametrize("pooling", ["mean", "mean_content"])
def test_nasty_texts_one_of_them_without_a_vector(load: Load, pooling: str) -> None:
    result = checked(load("minilm"), NASTY, pooling, text=4)
    assert np.isnan(result.vectors("mean_content")).any()


@pytest.mark.parametrize("texts", [TEXTS[:1], TEXTS[2:] * 2, ("Word", "Word")], ids=["one", "equal", "no pair"])
@pytest.mark.parametrize("name", ["minilm", "roberta"])
def test_few_texts(load: Load, name: str, texts: Texts) -> None:
    checked(load(name), texts)


def test_many_texts_in_batches_and_a_drawn_sample(load: Load) -> None:
    for name in ("bert", "mpnet"):
        result = checked(load(name), MANY, text=40)
        assert len(MANY) > 32 and result.anisotropy.tokens == TOKENS


def test_truncated_texts(load: Load) -> None:
    checkpoint = load("distilbert")
    result = checked(checkpoint, LONG)
    assert any(finding.id == "silent-truncation" for finding in result.findings)
    assert len(bertlens.token_path(checkpoint, LONG, 0).tokens) == checkpoint.max_length


def test_a_process_of_its_own_prints_the_same_numbers(load: Load, tmp_path: Path) -> None:
    found, _ = split(numbers(in_a_process(written(load("minilm"), NASTY), tmp_path)))
    assert_same(found, expected(load("minilm"), NASTY, "mean"))


def test_a_text_without_a_vector_is_of_no_account_to_the_others(load: Load) -> None:
    texts = (*TEXTS, "")
    course = bertlens.layers(load("minilm"), texts, baseline=False).course("mean_content")
    alone = bertlens.layers(load("minilm"), TEXTS, baseline=False).course("mean_content")
    for state in range(len(alone.states)):
        np.testing.assert_allclose(course.similarity(state)[:3, :3], alone.similarity(state), atol=1e-5)
        assert np.isnan(course.similarity(state)[3]).all()
    assert alone.pairs["smallest"].min() < 0.9
    assert np.isnan(course.measures["to_last"][:, 3]).all() and np.isfinite(course.measures["to_last"][:, :3]).all()


def test_without_a_baseline_nothing_is_drawn(load: Load) -> None:
    script = written(load("bert"), TEXTS, baseline=False)
    assert_well_written(script)
    assert "from_config" not in script
    assert script.count("in passes(") == 1, "every text is run once"
    assert not any(name.startswith(("fresh", "control")) for name in numbers(executed(script)))


def test_the_twin_with_another_number_is_caught(load: Load) -> None:
    found, _ = split(numbers(executed(written(load("bert"), TEXTS))))
    wanted = expected(load("bert"), TEXTS, "mean")
    assert_same(found, wanted)
    for name in (
        "real 2  change",
        "tokens 1  norm",
        "units 3",
        "vectors 2  pairs",
        "debiased CKA 1",
        "fresh 2  mean",
        "plane  way 1",
    ):
        changed = wanted | {name: wanted[name] * 1.001}
        with pytest.raises(AssertionError, match=re.escape(name)):
            assert_same(found, changed)
