"""What a second pair of eyes found: relatives of the families, models trained a little, and files that are odd but whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

import bertlens
from bertlens.errors import BertlensError
from bertlens.judge.tokenizer import vocabulary
from bertlens.judge.tokenizer.kinship import measure
from bertlens.run.dossier import compile_
from tests.checkpoints import WEIGHTS, Folder, Tensors, as_trained, copied, dropped, mapped, prefixed, sound
from tests.conftest import Folder as Folders
from tests.test_checkpoints import alarms

ROBERTA = {"max_position_embeddings": 66, "pad_token_id": 1}
RELATIVES: dict[str, dict[str, Any]] = {
    "deberta-v2": {},
    "ernie": {},
    "fnet": {},  # has no heads
    "gte": {"type_vocab_size": 2},  # its file stacks query, key and value, and gate and up
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 16, **ROBERTA},
    "nomic_bert": {},  # its file stacks query, key and value
    "nystromformer": {"segment_means_seq_len": 16, "num_landmarks": 4},  # takes rows of 16 tokens alone
    "ibert": {**ROBERTA},  # has linear layers of its own
    "roformer": {},  # its table of sines is frozen
}


@pytest.fixture(params=RELATIVES)
def relative(request: pytest.FixtureRequest, family_folder: Folders, tmp_path: Path) -> Folder:
    """A random model of a relative, wide enough to judge a matrix without a bias, with its kind of tokenizer."""
    folder = copied(family_folder("roberta" if request.param in ("ibert", "luke") else "bert"), tmp_path / "relative")
    rows = json.loads((folder.path / "config.json").read_text("utf-8"))["vocab_size"]
    sizes = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128}
    more = {"vocab_size": rows, "max_position_embeddings": 64, "pad_token_id": 0, **RELATIVES[request.param]}
    if request.param == "fnet":
        del sizes["num_attention_heads"]
    config = transformers.CONFIG_MAPPING[request.param](**sizes, **more)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        transformers.AutoModel.from_config(config).save_pretrained(folder.path)
    for name in ("cls", "sep", "bos", "eos"):  # this tokenizer's own ids are not asked about here
        folder.config(**{f"{name}_token_id": None})
    return folder


def moved(tensors: Tensors) -> Tensors:
    return {key: value + 0.1 * torch.randn_like(value) if value.dim() == 1 else value for key, value in tensors.items()}


def trained(tensors: Tensors) -> Tensors:
    return {key: as_trained({key: value})[key] if value.dim() < 3 else 1.1 * value for key, value in tensors.items()}


def first(folder: Folder) -> str:
    return bertlens.check(str(folder.path)).findings[0].id


def test_a_random_relative_is_called_random_and_nothing_else(relative: Folder) -> None:
    assert [found[1] for found in alarms(bertlens.check(str(relative.path)))] == ["random-model"]


def test_a_relative_raises_no_alarm(relative: Folder) -> None:
    assert not alarms(bertlens.check(str(relative.weights(moved).path)))
    assert not alarms(bertlens.check(str(relative.weights(trained).path)))


def test_a_wrapped_relative_is_called_wrapped(relative: Folder) -> None:
    assert first(relative.weights(moved).weights(prefixed("module."))) == "wrapper-prefix"


def test_a_relative_without_its_pooler_says_so(relative: Folder) -> None:
    relative.weights(moved)
    held = any("pooler" in key for key in load_file(relative.path / WEIGHTS))
    told = {finding.id for finding in bertlens.check(str(relative.weights(dropped("pooler")).path)).findings}
    # a class without a pooler misses none, and says that it has none
    assert ("pooler-missing" in told, "architecture-without-pooler" in told) == (held, not held)


def test_a_layer_drawn_anew_among_moved_ones_is_named(family_folder: Folders, tmp_path: Path) -> None:
    """No matrix shows training, but one layer's vectors stand where a fresh draw puts them, and nobody else's do."""
    folder = copied(family_folder("bert", hidden_size=64), tmp_path / "bert")
    assert not alarms(bertlens.check(str(folder.path)))

    def fresh(key: str, value: torch.Tensor) -> torch.Tensor:
        if "encoder.layer.1." not in key or value.dim() > 1:
            return value
        return torch.ones_like(value) if key.endswith("LayerNorm.weight") else torch.zeros_like(value)

    folder.weights(lambda tensors: {key: fresh(key, value) for key, value in tensors.items()})
    found = bertlens.check(str(folder.path)).findings[0]
    assert found.id == "shape-mismatch" and found.title.startswith("Layer 1 was added")


def test_words_that_were_only_pushed_together_accuse_no_vocabulary(family_folder: Folders, tmp_path: Path) -> None:
    """A short training moves all words that never occur along the same few directions."""
    folder = copied(family_folder("bert", hidden_size=64), tmp_path / "bert")

    def pushed(table: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        strength = torch.randn(len(table), 2, generator=generator)
        return table + 0.4 * strength @ torch.randn(2, table.shape[1], generator=generator)

    dossier = compile_(str(folder.weights(mapped("word_embeddings", pushed)).path))
    found = vocabulary.of(dossier)
    assert found is not None
    kinship = measure(dossier, found)
    assert kinship is not None and kinship.structure is not None and kinship.verdict == "cannot tell"


@pytest.mark.parametrize(("kept", "said"), [(0.5, ["conversion-incomplete"]), (0.95, [])])
def test_rows_of_zeros(kept: float, said: list[str], family_folder: Folders, tmp_path: Path) -> None:
    """A table of which the second half was lost, and one with a few rows that no training ever met."""
    folder = copied(family_folder("bert"), tmp_path / "bert")

    def emptied(table: torch.Tensor) -> torch.Tensor:
        return torch.where(torch.arange(len(table))[:, None] < kept * len(table), table, 0.0)

    found = alarms(bertlens.check(str(folder.weights(mapped("word_embeddings", emptied)).path)))
    assert [fault for _, fault, _ in found] == said


def half(matrices: bool) -> Any:
    def change(value: torch.Tensor) -> torch.Tensor:
        return value.half() if value.is_floating_point() and (value.dim() > 1) == matrices else value

    return mapped("", change)


@pytest.mark.parametrize("matrices", [True, False])
def test_the_number_format_is_that_of_most_numbers(matrices: bool, family_folder: Folders, tmp_path: Path) -> None:
    folder = copied(family_folder("bert"), tmp_path / "bert").weights(half(matrices))
    assert [found[1] for found in alarms(bertlens.check(str(folder.path)))] == ["half-precision-file"] * matrices


def test_no_layers_at_all(family_folder: Folders, tmp_path: Path) -> None:
    assert first(copied(family_folder("bert"), tmp_path / "bert").config(num_hidden_layers=0)) == "shape-mismatch"


def test_special_tokens_exchanged(tmp_path: Path) -> None:
    folder = sound(tmp_path / "exchanged")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        folder.document(name, cls_token="[SEP]", sep_token="[CLS]")
    assert first(folder) == "special-tokens-missing"


def refused(folder: Folder) -> str:
    with pytest.raises(BertlensError) as caught:
        bertlens.check(str(folder.path))
    return caught.value.sentence


def test_links_in_a_circle_are_refused(family_folder: Folders, tmp_path: Path) -> None:
    folder = copied(family_folder("bert"), tmp_path / "bert").without(WEIGHTS)
    (folder.path / WEIGHTS).symlink_to(folder.path / WEIGHTS)
    assert refused(folder)


def test_a_wrong_kind_of_quantisation_is_refused(family_folder: Folders, tmp_path: Path) -> None:
    folder = copied(family_folder("bert"), tmp_path / "bert").config(quantization_config="yes")
    assert "a wrong value" in refused(folder)


def test_a_model_that_reads_no_token_ids_is_refused(family_folder: Folders, tmp_path: Path) -> None:
    folder = copied(family_folder("bert"), tmp_path / "bert")
    config = transformers.PerceiverConfig(d_model=16, num_latents=4, d_latents=16, num_self_attends_per_block=1)
    config.save_pretrained(folder.path)
    assert "reads no token ids" in refused(folder)
