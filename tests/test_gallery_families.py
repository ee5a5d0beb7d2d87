"""Every fault on every family: it is one and is mended there too, or a sentence says why it cannot be made."""

from __future__ import annotations

from typing import Any

import pytest

from bertlens.cases.gallery import reproduce, reproducer
from bertlens.errors import BertlensError
from bertlens.judge.findings import catalogue
from bertlens.run.presets import EXAMPLE_TEXTS
from tests.conftest import Loaded
from tests.families import FAMILIES
from tests.test_gallery import assert_made_and_mended

EVERY = sorted(fault for fault in catalogue() if reproducer(fault))


CASED = {"bert-cased", "roberta", "xlm-roberta", "modernbert"}
WORDPIECE = {"bert", "bert-cased", "distilbert", "electra", "mpnet"}
NO_DROPOUT = {"albert", "modernbert"}  # published with dropout 0
NO_POOLER = {"distilbert", "electra", "modernbert"}
NO_SEGMENTS = {"distilbert", "roberta", "xlm-roberta", "mpnet", "modernbert"}
OTHER_KEYS = {"distilbert", "electra", "albert", "mpnet", "modernbert"}  # than BERT and RoBERTa, which share theirs
POSITIONS_OF_TOKENS = {"roberta", "xlm-roberta", "mpnet", "modernbert"}
EVERY_FAMILY = set(FAMILIES)

NOT_MADE: dict[str, tuple[str, set[str]]] = {
    "architecture-without-pooler": ("has a pooler", EVERY_FAMILY - NO_POOLER),
    "arguments-swapped": ("no token_type_ids", NO_SEGMENTS | {"albert"}),
    "buffers-uninitialised": ("no buffer", {"roberta", "xlm-roberta", "mpnet"}),
    "dropout-active": ("no dropout", NO_DROPOUT),
    "fast-slow-tokenizer-differ": ("slow tokenizer", EVERY_FAMILY - WORDPIECE | {"bert-cased"}),
    "head-count-wrong": ("weights for each head", {"mpnet"}),
    "last-hidden-state-normalised": ("no norm follows", EVERY_FAMILY - {"modernbert"}),
    "left-padding-positions": ("left padding is harmless", POSITIONS_OF_TOKENS),
    "lowercased-cased-model": ("do_lower_case", EVERY_FAMILY - {"bert-cased"}),
    "onnx-export-differs": ("no dropout", NO_DROPOUT),
    "pooler-as-sentence-vector": ("no pooler", NO_POOLER),
    "pooler-missing": ("no pooler", NO_POOLER),
    "pooler-untrained": ("no pooler", NO_POOLER),
    "positions-wrong": ("no table of learned positions", {"modernbert"}),
    "segment-ids-wrong": ("no second segment", NO_SEGMENTS),
    "sequence-too-long": ("no table of learned positions", {"modernbert"}),
    "shape-mismatch": ("no table of learned positions", {"modernbert"}),
    "tokenizer-version-drift": ("its tokenizer.json|reads tokenizer.json", {"roberta", "albert", "mpnet", "modernbert"}),
    "uncased-vocab-not-lowercased": ("do_lower_case", CASED),
    "wrong-architecture-class": ("have the same keys", OTHER_KEYS),
}
"""Words of the refusal, and the families that give it; every other fault is made on every family."""


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("fault", EVERY)
def test_a_fault_is_made_and_mended_where_the_family_allows_it(fault: str, family: str, loaded: Loaded) -> None:
    words, families = NOT_MADE.get(fault, ("", set()))
    if family in families:
        with pytest.raises(BertlensError, match=f"cannot reproduce {fault} here; got .*({words})"):
            reproduce(fault, loaded(family), EXAMPLE_TEXTS)
    else:
        assert_made_and_mended(reproduce(fault, loaded(family), EXAMPLE_TEXTS))


@pytest.mark.parametrize("texts", [("One text alone.",), ("the same text", "the same text")], ids=["one", "equal"])
@pytest.mark.parametrize("fault", EVERY)
def test_texts_that_hide_a_fault_are_refused_or_show_it_all_the_same(
    fault: str, texts: tuple[str, ...], loaded: Loaded
) -> None:
    """None of them may be called a fault that was made while nothing differs."""
    try:
        found = reproduce(fault, loaded("bert"), texts)
    except BertlensError as refused:
        assert f"cannot reproduce {fault} here; got " in refused.sentence
    else:
        assert_made_and_mended(found)


def test_making_faults_leaves_model_and_tokenizer_as_they_were(loaded: Loaded) -> None:
    checkpoint = loaded("bert")
    model = checkpoint.instance("float32", "sdpa", False, "cpu")

    def held() -> tuple[object, ...]:
        state = {name: value.double().sum().item() for name, value in model.state_dict().items()}
        hooks = sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in model.modules())
        return state, model.training, model.config.to_dict(), hooks, of_tokenizer(checkpoint.tokenizer)

    def of_tokenizer(tokenizer: Any) -> tuple[object, ...]:
        tokenizer("", padding=False, truncation=False)  # both are state that every call sets anew
        backend = tokenizer.backend_tokenizer.to_str()
        settings = {name: str(value) for name, value in vars(tokenizer).items() if name not in ("_tokenizer", "_vocab")}
        return backend, len(tokenizer), settings

    reproduce("rounding-only", checkpoint, EXAMPLE_TEXTS)  # the first pass hangs transformers' own hooks
    reproduce("hidden-states-off-by-one", checkpoint, EXAMPLE_TEXTS)
    (spare,) = checkpoint.spare_tokenizers
    before, own = held(), of_tokenizer(spare)
    for fault in EVERY:
        try:
            reproduce(fault, checkpoint, EXAMPLE_TEXTS)
        except BertlensError:
            assert fault in NOT_MADE
        assert held() == before, fault
        assert [of_tokenizer(one) for one in checkpoint.spare_tokenizers] == [own], f"{fault}: the next one gets this copy"
