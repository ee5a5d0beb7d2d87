"""Two checkpoints: what lies between them is named, and equal ones are not accused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertlens
from tests.conftest import Folder, Loaded

TEXTS = ["A short text.", "A text that is a good deal longer than the first one."]
Twin = Callable[..., Path]


@pytest.fixture
def twin(family_folder: Folder, tmp_path: Path) -> Twin:
    """A copy of the BERT checkpoint with some config entries changed."""

    def copy(**changes: Any) -> Path:
        folder = tmp_path / "twin"
        shutil.copytree(family_folder("bert"), folder)
        config = json.loads((folder / "config.json").read_text("utf-8"))
        assert not any(config.get(key) == value for key, value in changes.items())
        (folder / "config.json").write_text(json.dumps({**config, **changes}), "utf-8")
        return folder

    return copy


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"layer_norm_eps": 1e-5}, "config-scalar-differs"),
        ({"hidden_act": "gelu_pytorch_tanh"}, "config-scalar-differs"),
        ({"num_attention_heads": 8}, "head-count-wrong"),
    ],
)
def test_a_changed_config_is_named_with_its_values(loaded: Loaded, twin: Twin, change: dict[str, Any], fault: str) -> None:
    against = bertlens.load(str(twin(**change)))
    found = bertlens.compare(loaded("bert"), TEXTS, candidate="batch=alone", against=against)
    assert found.verdict == "different"
    assert found.findings[0].id == fault
    assert found.findings[0].evidence["weights"] == "the same file"
    assert list(found.findings[0].evidence["config"]) == list(change)
    json.dumps(found.to_dict(), allow_nan=False)


def test_other_weights_are_named_as_such(loaded: Loaded, family_folder: Folder) -> None:
    other = bertlens.load(str(family_folder("bert", seed=5)))
    found = bertlens.compare(loaded("bert"), TEXTS, candidate="batch=alone", against=other)
    assert [finding.id for finding in found.findings] == ["checkpoint-drift"]
    assert found.findings[0].evidence["weights"] == "another file"


def test_a_copy_is_not_accused(loaded: Loaded, twin: Twin) -> None:
    copy = bertlens.load(str(twin(transformers_version="0.0.1")))
    found = bertlens.compare(loaded("bert"), TEXTS, candidate="batch=alone", against=copy)
    assert found.verdict == "identical"
    assert found.findings == ()


def test_a_forgotten_mask_is_blamed_and_the_equal_checkpoint_is_not(loaded: Loaded, twin: Twin) -> None:
    copy = bertlens.load(str(twin()))
    found = bertlens.compare(loaded("bert"), TEXTS, candidate="mask=off", against=copy)
    assert [finding.id for finding in found.findings] == ["attention-mask-missing"]
