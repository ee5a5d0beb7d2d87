"""What the files of a tokenizer betray, each fault beside its healthy twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from bertlens.errors import BertlensError
from bertlens.judge.tokenizer.judges import of_tokenizer
from bertlens.judge.tokenizer.numbering import added_rows, of_refusal, spare_rows
from bertlens.run.dossier import compile_
from tests.broken import edit, lines, one, opened, severities, state, without, write_lines
from tests.conftest import Folder
from tests.families import FAMILIES


@pytest.fixture(scope="session")
def packaged() -> Path:
    return compile_("minilm").folder


@pytest.fixture
def minilm_copy(packaged: Path, copy_of: Folder) -> Path:
    return copy_of(packaged)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_healthy_tokenizer_of_any_family_raises_no_alarm(family: str, family_folder: Folder) -> None:
    assert severities(of_tokenizer(opened(family_folder(family)))) == {}


def test_the_packaged_tokenizer_raises_no_alarm() -> None:
    assert of_tokenizer(compile_("minilm")) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unset_limit_and_a_resaved_tokenizer_raise_no_alarm(family: str, family_folder: Folder, copy_of: Folder) -> None:
    folder = copy_of(family_folder(family))
    edit(folder, "tokenizer_config.json", lambda config: config.pop("model_max_length"))
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    assert severities(of_tokenizer(opened(folder))) == {}


class TestLetters:
    def test_a_cased_vocabulary_that_is_lower_cased(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = state(copy_of(family_folder("bert-cased")), "tokenizer_config.json", do_lower_case=True)
        found = of_tokenizer(opened(folder))
        told = one(found, "lowercased-cased-model")
        assert told.severity == "problem" and told.evidence["produced"] == 0
        assert "do_lower_case=False" in told.code
        assert severities(found)["tokenizer-version-drift"] == "caution"

    def test_the_code_mends_it(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = state(copy_of(family_folder("bert-cased")), "tokenizer_config.json", do_lower_case=True)
        code = one(of_tokenizer(opened(folder)), "lowercased-cased-model").code
        exec(code, {"AutoTokenizer": AutoTokenizer, "folder": folder})
        assert severities(of_tokenizer(opened(folder))) == {}

    def test_no_flag_at_all_lower_cases_too(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = copy_of(family_folder("bert-cased"))
        edit(folder, "tokenizer_config.json", lambda config: config.pop("do_lower_case"))
        assert severities(of_tokenizer(opened(folder)))["lowercased-cased-model"] == "problem"

    def test_a_lower_cased_byte_level_vocabulary(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = state(copy_of(family_folder("modernbert")), "tokenizer.json", normalizer={"type": "Lowercase"})
        found = one(of_tokenizer(opened(folder)), "lowercased-cased-model")
        exec(found.code, {"AutoTokenizer": AutoTokenizer, "folder": folder})

    @pytest.mark.parametrize("family", ["bert", "distilbert", "electra", "mpnet", "albert"])
    def test_an_uncased_vocabulary_that_is_not_lower_cased(self, family: str, family_folder: Folder, copy_of: Folder) -> None:
        folder = state(copy_of(family_folder(family)), "tokenizer_config.json", do_lower_case=False)
        told = one(of_tokenizer(opened(folder)), "uncased-vocab-not-lowercased")
        assert told.severity == "problem" and told.evidence["unknown_when_capitalised"] > 100
        exec(told.code, {"AutoTokenizer": AutoTokenizer, "folder": folder})
        assert severities(of_tokenizer(opened(folder))) == {}

    def test_accents_kept_that_nobody_knows(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = state(copy_of(family_folder("bert")), "tokenizer_config.json", strip_accents=False)
        told = one(of_tokenizer(opened(folder)), "uncased-vocab-not-lowercased")
        assert told.severity == "caution" and told.affects == ("texts with accents",)

    def test_stray_capitals_do_not_make_a_cased_vocabulary(self, minilm_copy: Path) -> None:
        entries = lines(minilm_copy)
        entries[5:25] = [f"Stray{chr(97 + at)}" for at in range(20)]
        write_lines(without(minilm_copy, "tokenizer.json"), entries)
        assert "lowercased-cased-model" not in severities(of_tokenizer(opened(minilm_copy)))

    def test_a_caseless_vocabulary_may_keep_capitals(self, minilm_copy: Path) -> None:
        entries = lines(minilm_copy)
        kept = [
            entry if at < 999 or not any(sign.isalpha() for sign in entry) else f"漢{at}" for at, entry in enumerate(entries)
        ]
        write_lines(without(minilm_copy, "tokenizer.json"), kept)
        state(minilm_copy, "tokenizer_config.json", do_lower_case=False)
        assert "uncased-vocab-not-lowercased" not in severities(of_tokenizer(opened(minilm_copy)))

    def test_punctuation_that_is_not_split(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = state(copy_of(family_folder("bert")), "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
        assert severities(of_tokenizer(opened(folder))) == {}
        state(folder, "tokenizer.json", pre_tokenizer={"type": "WhitespaceSplit"})
        told = one(of_tokenizer(opened(folder)), "uncased-vocab-not-lowercased")
        assert told.affects == ("texts with punctuation",)

    def test_sentence_transformers_lower_cases_first(self, family_folder: Folder, copy_of: Folder) -> None:
        cased, uncased = copy_of(family_folder("bert-cased")), copy_of(family_folder("bert"))
        for folder in (cased, uncased):
            state(folder, "sentence_bert_config.json", do_lower_case=True)
        assert severities(of_tokenizer(opened(cased))) == {"lowercased-cased-model": "caution"}
        assert severities(of_tokenizer(opened(uncased))) == {}


class TestNumbering:
    def test_a_blank_line(self, minilm_copy: Path) -> None:
        entries = lines(minilm_copy)
        write_lines(without(minilm_copy, "tokenizer.json"), [*entries[:2000], "", *entries[2000:]])
        told = [finding for finding in of_tokenizer(opened(minilm_copy)) if finding.id == "wrong-vocabulary"]
        assert told[0].severity == "problem" and "line 2001" in told[0].title

    def test_blank_lines_at_the_end_move_nothing(self, minilm_copy: Path) -> None:
        write_lines(without(minilm_copy, "tokenizer.json"), [*lines(minilm_copy), "", ""])
        assert "wrong-vocabulary" not in severities(of_tokenizer(opened(minilm_copy)))

    def test_a_line_twice(self, minilm_copy: Path) -> None:
        entries = lines(minilm_copy)
        write_lines(without(minilm_copy, "tokenizer.json"), [*entries[:2000], entries[1999], *entries[2000:]])
        assert severities(of_tokenizer(opened(minilm_copy)))["wrong-vocabulary"] == "problem"

    def test_vocab_txt_alone_is_healthy(self, minilm_copy: Path) -> None:
        assert of_tokenizer(opened(without(minilm_copy, "tokenizer.json"))) == []

    @pytest.mark.parametrize("shifted", ["vocab.txt", "tokenizer.json"])
    def test_two_files_shifted_by_one(self, shifted: str, minilm_copy: Path) -> None:
        if shifted == "vocab.txt":
            entries = lines(minilm_copy)
            write_lines(minilm_copy, [*entries[:1000], *entries[1001:], entries[1000]])
        else:
            edit(minilm_copy, "tokenizer.json", _shift)
        told = [finding for finding in of_tokenizer(opened(minilm_copy)) if finding.id == "wrong-vocabulary"]
        wanted = "caution" if shifted == "vocab.txt" else "problem"  # tokenizer.json is the one that is loaded
        assert told[0].severity == wanted

    def test_another_familys_tokenizer(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = copy_of(family_folder("bert"))
        AutoTokenizer.from_pretrained(family_folder("roberta")).save_pretrained(folder)
        told = severities(of_tokenizer(opened(folder)))
        assert told["wrong-vocabulary"] == "problem" and told["pad-id-conflict"] == "caution"

    def test_the_cased_vocabulary_on_the_uncased_model(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = copy_of(family_folder("bert"))
        AutoTokenizer.from_pretrained(family_folder("bert-cased")).save_pretrained(folder)
        assert severities(of_tokenizer(opened(folder)))["wrong-vocabulary"] in ("caution", "problem")

    @pytest.mark.parametrize(("rows", "told"), [(4096, {}), (4100, {}), (6000, {"wrong-vocabulary": "caution"})])
    def test_spare_rows(self, rows: int, told: dict[str, str], family_folder: Folder) -> None:
        folder = family_folder("roberta", vocab_size=rows)
        assert severities(of_tokenizer(opened(folder))) == told
        assert spare_rows(opened(folder)) == tuple(range(4005, rows))

    def test_no_tokenizer(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = without(copy_of(family_folder("bert")), "tokenizer.json", "tokenizer_config.json")
        assert severities(of_tokenizer(opened(folder))) == {"wrong-vocabulary": "caution"}

    @pytest.mark.parametrize("content", ["{", '{"model": {"type": "Strange"}}'])
    def test_a_tokenizer_that_cannot_be_loaded(self, content: str, family_folder: Folder, copy_of: Folder) -> None:
        folder = copy_of(family_folder("bert"))
        (folder / "tokenizer.json").write_text(content, "utf-8")
        with pytest.raises(BertlensError, match="take them out of the folder to check the weights alone"):
            of_tokenizer(opened(folder))

    def test_a_library_that_is_not_there_is_no_fault_of_the_checkpoint(self) -> None:
        error = BertlensError("cannot load the tokenizer", got="You need to install fugashi")
        error.__cause__ = ModuleNotFoundError("No module named 'fugashi'")
        assert of_refusal(error).severity == "caution"

    def test_ids_recorded_elsewhere(self, family_folder: Folder, copy_of: Folder) -> None:
        healthy = {"101": {"content": "[CLS]", "special": True}}
        folder = state(copy_of(family_folder("bert")), "tokenizer_config.json", added_tokens_decoder=healthy)
        assert severities(of_tokenizer(opened(folder))) == {}
        moved = {"102": {"content": "[CLS]", "special": True}}
        state(folder, "tokenizer_config.json", added_tokens_decoder=moved)
        assert severities(of_tokenizer(opened(folder)))["wrong-vocabulary"] == "problem"

    def test_ids_in_config(self, family_folder: Folder, copy_of: Folder) -> None:
        assert of_tokenizer(opened(copy_of(family_folder("bert"), bos_token_id=7, eos_token_id=8))) == []  # BERT has none
        assert severities(of_tokenizer(opened(copy_of(family_folder("roberta"), eos_token_id=8)))) == {
            "wrong-vocabulary": "caution"
        }
        told = severities(of_tokenizer(opened(copy_of(family_folder("roberta"), eos_token_id=8, bos_token_id=7))))
        assert told == {"wrong-vocabulary": "problem"}

    def test_a_special_token_that_is_not_in_the_vocabulary(self, minilm_copy: Path) -> None:
        entries = ["[CLASS]" if entry == "[CLS]" else entry for entry in lines(minilm_copy)]
        write_lines(without(minilm_copy, "tokenizer.json"), entries)
        told = severities(of_tokenizer(opened(minilm_copy)))
        assert told["wrong-vocabulary"] == "problem" and told["token-ids-out-of-range"] == "problem"

    def test_tokens_added_without_rows(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = copy_of(family_folder("bert"))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.add_tokens(["<e1>", "<e2>"])
        tokenizer.save_pretrained(folder)
        told = one(of_tokenizer(opened(folder)), "token-ids-out-of-range")
        assert told.severity == "problem" and told.evidence["examples"] == ["<e1>", "<e2>"]
        assert added_rows(opened(folder)) == {}

    def test_tokens_added_with_rows(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = copy_of(family_folder("bert", vocab_size=30528))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.add_tokens(["<e1>", "<e2>"])
        tokenizer.save_pretrained(folder)
        assert of_tokenizer(opened(folder)) == []
        assert added_rows(opened(folder)) == {"<e1>": 30522, "<e2>": 30523}
        assert spare_rows(opened(folder)) == (30524, 30525, 30526, 30527)


def _shift(document: dict[str, Any]) -> None:
    vocabulary = document["model"]["vocab"]
    document["model"]["vocab"] = {token: at + (at >= 1000) for token, at in vocabulary.items() if at < 30521}
