"""The declared recipe, prompts, poolers, labels and the table of facts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bertlens.judge.checkpoint.facts import facts
from bertlens.judge.checkpoint.recipe import declared, of_recipe
from bertlens.read.readout import Readout
from bertlens.run.dossier import compile_
from tests.broken import edit, one, opened, severities, state
from tests.conftest import Folder
from tests.families import FAMILIES, build

OLD = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
NEW = {"embedding_dimension": 32, "pooling_mode": "cls", "include_prompt": True}


def declare(folder: Path, pooling: dict[str, Any] | None, *others: str) -> Path:
    """Write modules.json: a transformer, a pooling (None: named but not there), and other modules."""
    kinds = ["Transformer", "Pooling", *others]
    parts = [
        {"idx": at, "name": str(at), "path": f"{at}_{kind}" if at else "", "type": f"sentence_transformers.models.{kind}"}
        for at, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(parts), "utf-8")
    shutil.rmtree(folder / "1_Pooling", ignore_errors=True)
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), "utf-8")
    return folder


@pytest.fixture
def folder(family_folder: Folder, copy_of: Folder) -> Path:
    return copy_of(family_folder("bert"))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("readout", [None, "cls", "mean|l2"])
def test_a_healthy_family_gets_no_more_than_a_note(family: str, readout: str | None, family_folder: Folder) -> None:
    told = severities(of_recipe(opened(family_folder(family)), Readout.parse(readout) if readout else None))
    poolers = ("distilbert", "electra", "modernbert")
    assert told == ({"architecture-without-pooler": "note"} if family in poolers else {})


def test_the_packaged_recipe() -> None:
    told = of_recipe(compile_("minilm"))
    assert severities(told) == {"pooling-recipe-not-followed": "note", "normalised-vs-raw": "note"}
    assert "mean over tokens" in told[0].title and "--readout 'mean|l2'" in told[0].code


@pytest.mark.parametrize(
    ("readout", "told"),
    [
        ("mean|l2", {}),
        ("mean", {"normalised-vs-raw": "note"}),
        ("cls|l2", {"pooling-recipe-not-followed": "caution"}),
        ("mean@-2|l2", {"pooling-recipe-not-followed": "caution"}),
        ("pooler|l2", {"pooler-as-sentence-vector": "problem"}),
    ],
)
def test_readouts_against_the_packaged_recipe(readout: str, told: dict[str, str]) -> None:
    assert severities(of_recipe(compile_("minilm"), Readout.parse(readout))) == told


@pytest.mark.parametrize(("pooling", "mode"), [(OLD, "mean"), (NEW, "cls"), ({**NEW, "pooling_mode": ["max"]}, "max")])
def test_both_formats(pooling: dict[str, Any], mode: str, folder: Path) -> None:
    dossier = opened(declare(folder, pooling))
    recipe = declared(dossier.documents)
    assert recipe is not None and recipe.readout == mode
    assert severities(of_recipe(dossier)) == {"pooling-recipe-not-followed": "note"}
    assert of_recipe(dossier, Readout.parse(mode)) == []
    assert severities(of_recipe(dossier, Readout.parse(mode + "|l2"))) == {"normalised-vs-raw": "note"}


@pytest.mark.parametrize(
    ("pooling", "says"),
    [
        ({**OLD, "pooling_mode_mean_tokens": False}, "no pooling mode"),
        ({**OLD, "pooling_mode_cls_token": True}, "2 pooling modes"),
        ({**NEW, "pooling_mode": ["cls", "mean"]}, "2 pooling modes"),
        ({**OLD, "word_embedding_dimension": 768}, "768 components on a model of 32"),
        ({**NEW, "pooling_mode": "middle"}, "'middle'"),
        (None, "1_Pooling/config.json named in modules.json"),
    ],
)
def test_a_declaration_against_itself(pooling: dict[str, Any] | None, says: str, folder: Path) -> None:
    told = [finding for finding in of_recipe(opened(declare(folder, pooling))) if finding.severity == "caution"]
    assert len(told) == 1 and says in told[0].title


def test_a_dense_layer(folder: Path) -> None:
    declare(folder, OLD, "Dense")
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text(json.dumps({"in_features": 32, "out_features": 8}), "utf-8")
    dossier = opened(folder)
    assert "dense layer 32 → 8" in of_recipe(dossier)[0].title
    assert severities(of_recipe(dossier, Readout.parse("mean"))) == {"pooling-recipe-not-followed": "caution"}
    edit(folder, "2_Dense/config.json", lambda config: config.update(in_features=768))
    assert severities(of_recipe(opened(folder)))["pooling-recipe-not-followed"] == "caution"


def test_prompts(folder: Path) -> None:
    name = "config_sentence_transformers.json"
    state(folder, name, prompts={"query": "", "document": ""}, default_prompt_name=None)
    assert of_recipe(opened(folder)) == []
    state(folder, name, prompts={"query": "query: ", "document": ""})
    told = one(of_recipe(opened(folder)), "prompt-prefix")
    assert told.severity == "note" and "'query: '" in told.title and told.code.startswith("texts = ['query: '")
    state(folder, name, default_prompt_name="passage")
    assert one(of_recipe(opened(folder)), "prompt-prefix").severity == "caution"


def test_no_pooler(family_folder: Folder) -> None:
    dossier = opened(family_folder("distilbert"))
    assert severities(of_recipe(dossier, Readout.parse("pooler"))) == {"architecture-without-pooler": "problem"}
    assert severities(of_recipe(opened(family_folder("bert")), Readout.parse("pooler"))) == {}


def test_the_generator_of_electra(tmp_path: Path, family_folder: Folder) -> None:
    told = severities(of_recipe(opened(build("electra", tmp_path / "generator", head="masked-lm"))))
    assert told == {"architecture-without-pooler": "caution"}
    assert severities(of_recipe(opened(family_folder("electra")))) == {"architecture-without-pooler": "note"}


def test_labels_without_names(family_folder: Folder, copy_of: Folder) -> None:
    folder = copy_of(family_folder("bert", head="sequence-classification"))
    told = one(of_recipe(opened(folder)), "classifier-untrained")
    assert told.severity == "note" and "names of the 2 classes are not stored" in told.title
    state(folder, "config.json", id2label={"0": "no", "1": "yes"}, label2id={"no": 0, "yes": 1})
    assert of_recipe(opened(folder)) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_facts_of_every_family_are_plain_json(family: str, family_folder: Folder) -> None:
    found = facts(opened(family_folder(family)))
    json.dumps([fact.value for fact in found])
    assert {fact.group for fact in found} == {"config", "tokenizer", "declared"}
    assert {fact.name for fact in found} >= {"layers", "pad id", "rows of the word embedding", "tokens", "padding side"}


def test_facts_of_the_packaged_checkpoint() -> None:
    found = {(fact.name, fact.source): fact.value for fact in facts(compile_("minilm"))}
    assert found["most tokens", "tokenizer.json truncation"] == 128
    assert found["readout", "modules.json"] == "mean|l2"
    assert found["LayerNorm eps", "config.json"] == 1e-12
