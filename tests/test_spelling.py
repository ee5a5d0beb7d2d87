"""The lines that a remedy hands back make the vectors that bertlens makes, and are those that the checkpoint declares."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import bertlens
from bertlens.judge.findings import Finding
from bertlens.read.spelling import spelled
from bertlens.run.checkpoint import Checkpoint
from tests.checkpoints import dropped, sound

TEXTS = ["Short.", "A text that is quite a bit longer than the first one.", "Why?"]


def carried_out(code: str, checkpoint: Checkpoint) -> torch.Tensor:
    """The vectors that code makes of one padded batch."""
    batch = checkpoint.tokenizer(TEXTS, padding=True, return_tensors="pt")
    assert not batch["attention_mask"].all(), "something must be padded"
    with torch.no_grad():
        names = {"torch": torch, "batch": batch, "outputs": checkpoint.model(**batch)}
        exec(code, names)
    vectors = names["vectors"]
    assert isinstance(vectors, torch.Tensor)
    return vectors


@pytest.mark.parametrize("l2", ["", "|l2"])
@pytest.mark.parametrize("pooling", ["cls", "max", "mean", "mean_all", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"])
def test_the_lines_of_a_readout_make_its_vectors(pooling: str, l2: str, minilm: Checkpoint) -> None:
    readout = pooling + l2
    made = bertlens.pool(minilm, TEXTS, [readout], condition="batch=whole").vectors[readout]
    torch.testing.assert_close(carried_out(spelled(readout), minilm), torch.from_numpy(made), rtol=0, atol=2e-6)


def pooler_of(folder: Path) -> Finding:
    found = bertlens.check(bertlens.load(str(folder))).findings
    return next(one for one in found if one.id in ("pooler-missing", "pooler-untrained"))


def declaring(folder: Path, mode: str) -> Path:
    """A checkpoint without a pooler that says how its vectors are pooled."""
    made = sound(folder).weights(dropped("pooler")).path
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    modules += [{"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    (made / "modules.json").write_text(json.dumps(modules))
    (made / "1_Pooling").mkdir(exist_ok=True)
    flags = {"word_embedding_dimension": 384, f"pooling_mode_{mode}": True}
    (made / "1_Pooling" / "config.json").write_text(json.dumps(flags))
    return made


@pytest.mark.parametrize(("mode", "readout"), [("mean_tokens", "mean"), ("max_tokens", "max"), ("cls_token", "cls")])
def test_in_the_place_of_a_missing_pooler_stands_what_the_checkpoint_declares(tmp_path: Path, mode: str, readout: str) -> None:
    finding = pooler_of(declaring(tmp_path / "mine", mode))
    assert finding.code.startswith(spelled(readout)) and f"--readout '{readout}'" in finding.code


def test_where_nothing_is_declared_it_is_cls(tmp_path: Path) -> None:
    made = sound(tmp_path / "mine").weights(dropped("pooler")).path
    for file in ("modules.json", "1_Pooling/config.json"):
        (made / file).unlink(missing_ok=True)
    assert pooler_of(made).code == f"{spelled('cls')}   # not outputs.pooler_output"


def test_a_card_says_what_was_measured(minilm: Checkpoint) -> None:
    drawn = next(one for one in bertlens.check(minilm).findings if one.id == "pooler-untrained")
    assert f"largest singular value {drawn.evidence['edge_ratio']:.3f} of the edge" in drawn.measured
    forgotten = bertlens.compare(minilm, TEXTS, reference="batch=alone", candidate="mask=off")
    mask = next(one for one in forgotten.findings if one.id == "attention-mask-missing")
    assert mask.measured.startswith("Changing mask on → off") and f"{mask.evidence['max_abs']:.2g}" in mask.measured
    assert Finding("wrong-axis", "problem", "A title with its own number: 3").measured == ""
