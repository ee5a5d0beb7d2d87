"""A folder of broken checkpoints, each judged with the right id first, and of healthy ones, at which nothing may cry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

import bertlens
from bertlens.judge.checkpoint.checkup import Checkup
from bertlens.judge.findings import catalogue
from tests.breakages import BROKEN, CLASSIFIER, SEQUENCE, Break, weights
from tests.checkpoints import Folder, added, as_trained, both, copied, dropped, mapped, prefixed, renamed, sound
from tests.conftest import Folder as Folders
from tests.families import FAMILIES


def with_sound(tmp_path: Path) -> Folder:
    return sound(tmp_path / "checkpoint")


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named_first(name: str, tmp_path: Path) -> None:
    change, fault = BROKEN[name]
    folder = with_sound(tmp_path)
    change(folder)
    found = bertlens.check(str(folder.path))
    assert found.findings[0].id == fault, [(finding.severity, finding.id, finding.title) for finding in found.findings]
    assert found.findings[0].severity in ("problem", "caution")
    assert found.verdict == found.findings[0].severity


def healthy_bin(folder: Folder) -> None:
    torch.save(load_file(folder.path / "model.safetensors"), folder.path / "pytorch_model.bin")
    folder.without("model.safetensors")


def healthy_shards(folder: Folder) -> None:
    transformers.AutoModel.from_pretrained(folder.path).save_pretrained(folder.path / "new", max_shard_size="30MB")
    folder.without("model.safetensors")
    for path in (folder.path / "new").iterdir():
        shutil.move(path, folder.path / path.name)
    assert (folder.path / "model.safetensors.index.json").is_file()


def padded_vocabulary(folder: Folder) -> None:
    name = "embeddings.word_embeddings.weight"
    folder.weights(lambda held: {**held, name: torch.cat([held[name], torch.randn(6, 384) * 0.02])}).config(vocab_size=30528)


def masked_lm(folder: Folder) -> None:
    head = {"cls__predictions__bias": torch.randn(30522), "cls__seq_relationship__weight": torch.randn(2, 384)}
    folder.weights(both(prefixed("bert."), added(**head))).config(architectures=["BertForPreTraining"])


HEALTHY: dict[str, Break] = {
    "as it is": lambda folder: None,
    "BERT's own prefix": weights(prefixed("bert.")),
    "gamma and beta": weights(
        both(renamed("LayerNorm.weight", "LayerNorm.gamma"), renamed("LayerNorm.bias", "LayerNorm.beta"))
    ),
    "harmless heads": weights(
        added(cls__predictions__bias=torch.zeros(30522), cls__seq_relationship__weight=torch.ones(2, 384))
    ),
    "position ids": weights(added(embeddings__position_ids=torch.arange(512)[None])),
    "no position ids": weights(dropped("position_ids")),
    "a classifier": lambda folder: folder.weights(both(prefixed("bert."), added(**CLASSIFIER))).config(**SEQUENCE),
    "a pickle of weights": healthy_bin,
    "shards": healthy_shards,
    "rows that fill up to a multiple of 8": padded_vocabulary,
    "scaled": weights(mapped("attention.output.dense.weight", lambda value: value * 0.5)),
    "no vocab.txt": lambda folder: folder.without("vocab.txt"),
    "no sentence-transformers files": lambda folder: folder.without("modules.json", "1_Pooling", "sentence_bert_config.json"),
    "rotated a little by further training": weights(mapped("encoder", lambda value: value + 1e-4 * torch.randn_like(value))),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_what_is_healthy_raises_no_alarm(name: str, tmp_path: Path) -> None:
    folder = with_sound(tmp_path)
    HEALTHY[name](folder)
    found = bertlens.check(str(folder.path))
    assert not alarms(found)
    assert found.verdict == "sound"


@pytest.mark.parametrize("trained", [False, True], ids=["moved", "as trained"])
@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_raises_an_alarm(family: str, trained: bool, family_folder: Folders, tmp_path: Path) -> None:
    folder = copied(family_folder(family), tmp_path / family)
    if trained:
        folder.weights(as_trained)
    assert not alarms(bertlens.check(str(folder.path)))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_random_model_of_every_family_is_called_random(family: str, family_folder: Folders, tmp_path: Path) -> None:
    folder = copied(family_folder(family), tmp_path / family)
    config = transformers.AutoConfig.from_pretrained(folder.path)
    transformers.AutoModel.from_config(config).save_pretrained(folder.path)
    assert bertlens.check(str(folder.path)).findings[0].id == "random-model"


def alarms(found: Checkup) -> list[tuple[str, str, str]]:
    return [(f.severity, f.id, f.title) for f in found.findings if f.severity != "note"]


def test_the_packaged_checkpoint_has_exactly_its_own_findings() -> None:
    found = bertlens.check("minilm")
    assert [(finding.id, finding.severity) for finding in found.findings] == [
        ("pooler-untrained", "caution"),
        ("conflicting-length-limits", "caution"),
        ("harmless-keys", "note"),
        ("pooling-recipe-not-followed", "note"),
        ("normalised-vs-raw", "note"),
    ]
    assert found.states == {"trained": 52, "newly drawn": 1}
    assert [output for output, ids in found.outputs.items() if ids] == ["pooler_output"]


@pytest.mark.parametrize("name", ["no template", "head count 6", "NaN"])
def test_no_vector_is_trusted_where_everything_is_wrong(name: str, tmp_path: Path) -> None:
    folder = with_sound(tmp_path)
    BROKEN[name][0](folder)
    found = bertlens.check(str(folder.path))
    assert found.outputs["last_hidden_state"] == (found.findings[0].id,)


@pytest.mark.parametrize("name", ["no pooler", "not lower-cased", "half precision in the file"])
def test_a_vector_is_trusted_where_something_else_is_wrong(name: str, tmp_path: Path) -> None:
    folder = with_sound(tmp_path)
    BROKEN[name][0](folder)
    assert bertlens.check(str(folder.path)).outputs["last_hidden_state"] == ()


def test_there_are_enough_of_both_and_every_id_is_in_the_catalogue() -> None:
    assert len(BROKEN) >= 40
    assert len(HEALTHY) + 2 * len(FAMILIES) >= 15
    assert {fault for _, fault in BROKEN.values()} <= set(catalogue())


def test_the_document_is_the_contract_s(tmp_path: Path) -> None:
    found = bertlens.check("minilm", ["A text", "and another"]).to_dict()
    assert found["schema"] == "bertlens.check/1"
    first = found["findings"][0]
    assert {"id", "severity", "title", "evidence", "affects", "remedy"} <= first.keys()
    assert {"text", "code"} == first["remedy"].keys()
    json.dumps(found, allow_nan=False)
