"""When cosines are called narrow: held against fresh weights and unrelated sentences, and silent on whatever is sound."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import bertlens
from bertlens.judge import narrow
from bertlens.judge.layers import Layers
from bertlens.read.sample import SampleReader
from bertlens.read.survey import survey
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.fresh import TEXTS as MOST_TEXTS
from bertlens.run.fresh import TOKENS, UNRELATED, few, fresh
from bertlens.run.texts import as_texts
from tests.conftest import Folder, Loaded

TEXTS = ["The river bank was muddy.", "Money lies in the bank on Monday.", "A quiet <b>song</b> $x$", "the the the dogs"]
ALIKE = ["The cat sat on the mat.", "A cat is sitting on a mat.", "On the mat there sits a cat."]


@pytest.fixture(scope="module")
def found(minilm: Checkpoint) -> Layers:
    return bertlens.layers(minilm, TEXTS)


@pytest.fixture(scope="module")
def pushed(family_folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], Checkpoint]:
    """A random BERT with so much added to one unit of its last LayerNorm's bias."""
    return lambda size: bertlens.load(str(push(family_folder("bert"), tmp_path_factory.mktemp("pushed"), size)))


def push(sound: Path, folder: Path, size: float, prefix: str = "") -> Path:
    """A copy of a BERT's folder with so much added to one unit of its last bias, and a prefix to the names of its weights."""
    for file in sound.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights = load_file(folder / "model.safetensors")
    weights["encoder.layer.2.output.LayerNorm.bias"][7] += size
    weights = {f"{prefix}{name}": tensor for name, tensor in weights.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_minilm_is_sound_and_the_sentence_says_its_number(found: Layers) -> None:
    assert (found.verdict, found.findings) == ("sound", ())
    state = int(found.anisotropy.mean.argmax())
    assert found.baseline is not None
    expected = f"Sound: unrelated tokens have a mean cosine of {found.anisotropy.mean[state]:.2f} in {found.names[state]}, "
    assert found.sentence.startswith(expected)
    assert f"has {found.baseline.mean[state]:.2f}; no other state has more." in found.sentence
    assert found.anisotropy.mean[-1] < narrow.HIGH


def test_a_model_pushed_into_a_cone_is_called_narrow_and_as_it_was_it_is_not(
    pushed: Callable[[float], Checkpoint], loaded: Loaded
) -> None:
    told = bertlens.layers(pushed(20.0), TEXTS)
    assert told.verdict == "caution"
    (finding,) = told.findings
    assert (finding.id, finding.severity, finding.affects) == ("anisotropy", "caution", ("last_hidden_state",))
    assert told.baseline is not None
    mean, drawn_mean = told.anisotropy.mean[-1], told.baseline.mean[-1]
    assert mean > 0.9 and drawn_mean + narrow.ABOVE < mean and told.anisotropy.centred[-1] < 0.1
    assert finding.evidence["units"] == [7] and finding.evidence["states"] == ["layer 3"]
    share = f"{100 * told.outliers.shares(3)[7]:.0f}"
    assert told.sentence == (
        f"Usable with care: unrelated tokens have a mean cosine of {mean:.2f} in layer 3, where a freshly initialised model of "
        f"the same shape has {drawn_mean:.2f}; 1 of 32 units makes {share} % of it."
    )
    healthy = bertlens.layers(loaded("bert"), TEXTS)
    assert healthy.verdict == "sound"
    assert not [one for one in healthy.findings if one.severity != "note"]
    without = bertlens.layers(pushed(20.0), TEXTS, baseline=False)
    assert without.verdict == "caution" and "freshly" not in without.sentence


def test_the_code_of_the_remedy_takes_the_cone_away(pushed: Callable[[float], Checkpoint]) -> None:
    told = bertlens.layers(pushed(20.0), TEXTS)
    vectors = torch.from_numpy(told.vectors("mean"))
    names: dict[str, Any] = {"torch": torch, "vectors": vectors}
    before = torch.nn.functional.normalize(vectors, dim=-1)
    exec(told.findings[0].code, names)
    apart = ~torch.eye(len(TEXTS), dtype=torch.bool)
    assert (before @ before.T)[apart].mean() > 0.9 and names["cosines"][apart].mean() < 0.1


def test_the_shape_of_a_model_is_no_caution(loaded: Loaded) -> None:
    told = bertlens.layers(loaded("electra"), TEXTS)
    assert told.baseline is not None
    assert told.anisotropy.mean[-1] > narrow.HIGH and told.baseline.mean[-1] + narrow.ABOVE > told.anisotropy.mean[-1]
    assert told.verdict == "sound" and [finding.severity for finding in told.findings] == ["note"]
    assert told.sentence.endswith(": the shape of the model makes that, not its training.")
    assert bertlens.layers(loaded("electra"), TEXTS, baseline=False).verdict == "caution"


def test_the_sentences_of_the_control_have_nothing_in_common(minilm: Checkpoint) -> None:
    vectors = bertlens.layers(minilm, list(UNRELATED), baseline=False).course("mean")
    assert vectors.pairs["largest"][-1] < 0.25  # a model trained to tell sentences apart is the judge
    assert bertlens.layers(minilm, ALIKE, baseline=False).course("mean").pairs["smallest"][-1] > 0.8


def test_texts_on_one_subject_accuse_nobody(minilm: Checkpoint) -> None:
    told = bertlens.layers(minilm, ALIKE)
    assert told.anisotropy.mean[-1] > narrow.HIGH > told.control.mean[-1]
    assert told.verdict == "sound" and told.findings == ()
    assert told.sentence.endswith("so it is these texts that are alike.")


@pytest.mark.parametrize(
    "texts",
    [["One text of many different words, more than a dozen of them, none of which is unrelated."], ["a b c d e f g"] * 2],
)
def test_a_single_text_has_nothing_unrelated(pushed: Callable[[float], Checkpoint], texts: list[str]) -> None:
    told = bertlens.layers(pushed(20.0), texts)
    assert told.anisotropy.texts == 1 and told.findings == ()
    assert "needs two different texts" in told.sentence
    assert len(told.of_readout("cls")) == 4


def test_fresh_weights_are_drawn_apart_and_leave_no_trace(minilm: Checkpoint) -> None:
    before, digest = torch.get_rng_state(), minilm.model.embeddings.word_embeddings.weight.clone()
    config, dtype = minilm.model.config.to_dict(), torch.get_default_dtype()
    one, two, other = fresh(minilm), fresh(minilm), fresh(minilm, seed=1)
    assert torch.equal(torch.get_rng_state(), before) and torch.get_default_dtype() == dtype
    assert minilm.model.config.to_dict() == config
    assert torch.equal(minilm.model.embeddings.word_embeddings.weight, digest)
    drawn_weights = [model.model.encoder.layer[0].output.dense.weight for model in (one, two, other)]
    assert torch.equal(drawn_weights[0], drawn_weights[1]) and not torch.equal(drawn_weights[0], drawn_weights[2])
    np.testing.assert_allclose(float(drawn_weights[0].detach().std()), 0.02, rtol=0.01)
    assert one.tokenizer_lock is minilm.tokenizer_lock and one.kept is not minilm.kept
    assert not one.model.training and one.model.dtype == torch.float32
    survey(few(one, as_texts(TEXTS), Condition()), [SampleReader(few(one, as_texts(TEXTS), Condition()))])
    left = weakref.ref(one.model)
    del one, drawn_weights
    gc.collect()
    assert left() is None


def test_two_visitors_draw_the_same_weights_at_once(loaded: Loaded) -> None:
    checkpoint = loaded("bert")
    expected = fresh(checkpoint).model.state_dict()
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: fresh(checkpoint).model.state_dict(), range(8)):
            assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_few_tokens_are_run_for_the_baseline(minilm: Checkpoint) -> None:
    long = as_texts(["many words " * 300] * 40)
    inputs = few(minilm, long, Condition())
    assert sum(len(row.ids) for row in inputs.tokens) <= TOKENS and len(inputs.tokens) == 16
    short = few(minilm, as_texts(TEXTS), Condition.parse("specials=off,mask=off"))
    assert short.condition.mask == "on" and not any(sum(row.special) for row in short.tokens)


def test_the_constants_are_those_in_the_document() -> None:
    document = (Path(__file__).parent.parent / "docs" / "layers.md").read_text("utf-8")
    for constant in ("HIGH", "ABOVE", "LEAST"):
        assert f"`{constant} = {getattr(narrow, constant):g}`" in document
    assert f"Units are named where {100 * narrow.FEW:g} % of them" in document
    assert f"{TOKENS} tokens together" in document and f"first\n   {MOST_TEXTS} texts" in document
