"""Every tensor that goes in and comes out, with its named axes."""

from __future__ import annotations

import json

import pytest

import bertlens
from bertlens.read.slicing import AXES, MEANING
from bertlens.run.checkpoint import Checkpoint
from tests.conftest import Loaded

TEXTS = ("A cat sat.", "Rain fell all night on the old stone bridge.", "The dog slept; nobody came home.")
GIVEN = {"bert": 3, "electra": 3}  # families whose tokenizers return token_type_ids


def test_shapes_of_every_family(checkpoint: Checkpoint) -> None:
    tensors = {tensor.name: tensor for tensor in bertlens.shapes(checkpoint, TEXTS, condition="padding=40")}
    into = [name for name, tensor in tensors.items() if tensor.direction == "in"]
    assert into == ["input_ids", "attention_mask", "token_type_ids"][: GIVEN.get(checkpoint.architecture.kind, 2)]
    assert all((tensors[name].shape, tensors[name].dtype, tensors[name].bytes) == ((3, 40), "int64", 960) for name in into)
    assert tensors["last_hidden_state"].shape == (3, 40, 32)
    assert tensors["hidden_states"].shape == (4, 3, 40, 32)
    assert tensors["hidden_states"].bytes == 4 * 3 * 40 * 32 * 4
    assert ("pooler_output" in tensors) == checkpoint.architecture.pooler
    assert all(len(tensor.axes) == len(tensor.shape) for tensor in tensors.values())
    json.dumps([tensor.to_dict() for tensor in tensors.values()], allow_nan=False)


@pytest.mark.parametrize(
    ("condition", "shapes"),
    [
        ("", {"input_ids": (3, 12), "attention_mask": (3, 12), "last_hidden_state": (3, 12, 384), "pooler_output": (3, 384)}),
        ("mask=off", {"attention_mask": None, "input_ids": (3, 12)}),
        ("positions=from-mask", {"position_ids": (3, 12)}),
        ("batch=alone", {"input_ids": (1, 6), "last_hidden_state": (1, 6, 384)}),
        ("rows=index", {"input_ids": (12, 1), "last_hidden_state": (12, 1, 384), "pooler_output": (12, 384)}),
        ("specials=off,batch=2", {"input_ids": (2, 10), "hidden_states": (7, 2, 10, 384)}),
    ],
)
def test_shapes_of_a_condition(minilm: Checkpoint, condition: str, shapes: dict[str, tuple[int, ...] | None]) -> None:
    found = {tensor.name: tensor.shape for tensor in bertlens.shapes(minilm, TEXTS, condition=condition)}
    assert {name: found.get(name) for name in shapes} == shapes


def test_number_formats(loaded: Loaded) -> None:
    tensors = {tensor.name: tensor for tensor in bertlens.shapes(loaded("bert"), TEXTS, condition="dtype=bfloat16,padding=20")}
    assert (tensors["last_hidden_state"].dtype, tensors["last_hidden_state"].bytes) == ("bfloat16", 3 * 20 * 32 * 2)
    assert tensors["input_ids"].dtype == "int64"


def test_every_tensor_has_axes_and_words() -> None:
    assert AXES.keys() == MEANING.keys()
