"""The random checkpoints behave like checkpoints of their families."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from tests.families import FAMILIES, POSITIONS, build

SENTENCE = "The quick brown fox jumps over the lazy dog, and Apple sells computers in London."
OTHERS = ["A short text.", "Rain fell all night on the old stone bridge."]
UNCASED = {"bert", "distilbert", "electra", "albert", "mpnet"}
TYPED = {"bert", "bert-cased", "electra"}
# Two separators between the texts of a pair, where the others have one.
DOUBLED = {"roberta", "xlm-roberta", "mpnet"}

Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The folder of a family's checkpoint, built when a test first asks for it."""
    root = tmp_path_factory.mktemp("families")

    def checkpoint(family: str) -> Path:
        return root / family if (root / family).exists() else build(family, root / family)

    return checkpoint


def tokenizer_of(path: Path) -> Any:
    return AutoTokenizer.from_pretrained(path, local_files_only=True)


def model_of(path: Path) -> Any:
    return AutoModel.from_pretrained(path, local_files_only=True, dtype=torch.float32).eval()


def weights(path: Path) -> bytes:
    return (path / "model.safetensors").read_bytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sentence_survives_the_tokenizer(folder: Folder, family: str) -> None:
    tokenizer = tokenizer_of(folder(family))
    ids = tokenizer(SENTENCE)["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    assert ids.count(tokenizer.unk_token_id) < 0.1 * len(ids)
    expected = SENTENCE.lower() if family in UNCASED else SENTENCE
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == expected
    assert tokenizer.model_max_length == POSITIONS


@pytest.mark.parametrize("family", FAMILIES)
def test_case_matters_only_to_cased_families(folder: Folder, family: str) -> None:
    tokenizer = tokenizer_of(folder(family))
    same = tokenizer("LONDON Apple")["input_ids"] == tokenizer("london apple")["input_ids"]
    assert same == (family in UNCASED)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pair_is_joined_as_the_family_joins_it(folder: Folder, family: str) -> None:
    tokenizer = tokenizer_of(folder(family))
    first, second = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in OTHERS)
    pair = tokenizer(*OTHERS)
    between = [tokenizer.sep_token_id] * (2 if family in DOUBLED else 1)
    assert pair["input_ids"] == [tokenizer.cls_token_id, *first, *between, *second, tokenizer.sep_token_id]
    assert ("token_type_ids" in pair) == (family in TYPED)
    if family in TYPED:
        assert pair["token_type_ids"] == [0] * (len(first) + 2) + [1] * (len(second) + 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_loads_whole_and_agrees_with_the_tokenizer(folder: Folder, family: str) -> None:
    path = folder(family)
    _, report = AutoModel.from_pretrained(path, local_files_only=True, output_loading_info=True)
    assert not any(report.values()), report
    config, tokenizer = AutoConfig.from_pretrained(path, local_files_only=True), tokenizer_of(path)
    assert config.vocab_size == len(tokenizer)
    assert config.pad_token_id == tokenizer.pad_token_id
    for name, token in {"bos": "cls", "eos": "sep", "cls": "cls", "sep": "sep"}.items():
        stated = getattr(config, f"{name}_token_id", None)
        assert stated is None or stated == getattr(tokenizer, f"{token}_token_id")


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_padding_changes_nothing_and_the_text_everything(folder: Folder, family: str) -> None:
    model, tokenizer = model_of(folder(family)), tokenizer_of(folder(family))
    texts = [SENTENCE, *OTHERS]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    together = model(**batch).last_hidden_state
    for text, rows, mask in zip(texts, together, batch["attention_mask"], strict=True):
        alone = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        torch.testing.assert_close(rows[mask.bool()], alone, rtol=0, atol=1e-5)
    assert torch.isfinite(together).all()
    first = together[:, 0]
    closest = min((first[i] - first[j]).abs().max().item() for i in range(3) for j in range(i))
    assert closest > 1e-2
    # Within one text as well: were all its token vectors alike, every way of pooling would give the same answer.
    assert (together[0, 1:] - together[0, :1]).abs().amax(dim=-1).min() > 1e-2


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_all_positions_can_be_used_and_count(folder: Folder, family: str) -> None:
    model, tokenizer = model_of(folder(family)), tokenizer_of(folder(family))
    full = tokenizer(" ".join([SENTENCE] * 9), truncation=True, return_tensors="pt")
    assert full["input_ids"].shape == (1, POSITIONS)
    assert torch.isfinite(model(**full).last_hidden_state).all()
    forth, back = (tokenizer(text, return_tensors="pt") for text in ("dog bites man", "man bites dog"))
    assert (model(**forth).last_hidden_state[0, 0] - model(**back).last_hidden_state[0, 0]).abs().max() > 1e-3


@pytest.mark.parametrize("head", ["masked-lm", "sequence-classification"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_s_file_holds_the_encoder_and_only_a_classifier_s_the_pooler(tmp_path: Path, family: str, head: str) -> None:
    build(family, tmp_path, head=head)
    _, report = AutoModel.from_pretrained(tmp_path, local_files_only=True, output_loading_info=True)
    assert report["unexpected_keys"]
    assert all("pooler" in key for key in report["missing_keys"])
    if family.startswith("bert"):
        assert bool(report["missing_keys"]) == (head == "masked-lm")


def test_the_seed_decides_the_weights_and_leaves_the_caller_s_alone(tmp_path: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, again, other = (build("roberta", tmp_path / n, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2)))
    assert torch.equal(torch.rand(3), expected)
    assert weights(first) == weights(again) != weights(other)


def test_changes_reach_the_config(tmp_path: Path) -> None:
    build("distilbert", tmp_path, num_hidden_layers=1, max_position_embeddings=32)
    assert AutoConfig.from_pretrained(tmp_path, local_files_only=True).n_layers == 1
    assert tokenizer_of(tmp_path).model_max_length == 32


def test_modernbert_has_local_and_global_layers(folder: Folder) -> None:
    config = AutoConfig.from_pretrained(folder("modernbert"), local_files_only=True)
    assert set(config.layer_types) == {"full_attention", "sliding_attention"}
