"""Case 1: one row by index, by slice and in the batch, against plain torch, on every family, and on the page."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bertlens
from bertlens.judge.measures import ulps
from bertlens.judge.rows import FIXED, Rows, Taken
from bertlens.judge.wording import number
from bertlens.read.access import Access
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.progress import silent
from bertlens.show import tables
from tests.conftest import Loaded

TEXTS = ("A cat sat.", "Rain fell all night on the old stone bridge.", "The dog slept; nobody came home.", "Padding!")
HARMLESS = ("identical", "rounding")


def plain(checkpoint: Checkpoint, count: int, width: int) -> dict[str, torch.Tensor]:
    """The array as a person makes it."""
    tokenizer, padding = checkpoint.tokenizer, {"padding": "max_length", "max_length": width}
    made = tokenizer(list(TEXTS[:count]), return_tensors="pt", padding_side="right", **padding)
    taken = ("input_ids", "attention_mask", *(("token_type_ids",) if checkpoint.architecture.segments else ()))
    return {name: made[name] for name in taken if name in made}


def first(checkpoint: Checkpoint, batch: dict[str, torch.Tensor], take: Any) -> torch.Tensor:
    with torch.inference_mode():
        return checkpoint.model(**{name: take(x) for name, x in batch.items()}).last_hidden_state[:, 0]


def by_way(found: tuple[Access, ...]) -> dict[str, Access]:
    return {one.way: one for one in reversed(found)}  # of the batches the smallest


@pytest.fixture(scope="module")
def case(minilm: Checkpoint) -> Rows:
    return bertlens.index_or_slice(minilm, TEXTS, 1, padding=256)


# --- identities -----------------------------------------------------------------------------------------------------


def test_row_1_by_index_is_row_0_by_index_although_the_texts_differ(checkpoint: Checkpoint) -> None:
    width = 40
    batch = plain(checkpoint, 3, width)
    assert not torch.equal(batch["input_ids"][0], batch["input_ids"][1]), "the texts differ"
    assert torch.equal(batch["input_ids"][0, :1], batch["input_ids"][1, :1]), "their first token does not"
    zero, one = (first(checkpoint, batch, lambda x, i=i: x[i][:, None])[0] for i in (0, 1))
    assert torch.equal(zero, one), "in plain torch"
    rows = bertlens.index_or_slice(checkpoint, TEXTS[:3], padding=width)
    assert rows.distinct_by_index == 1
    assert rows.distinct_by_slice == 3, "the healthy twin"
    between = [equality for equality in rows.equalities if equality.against == "row 0"]
    index = [equality for equality in between if equality.way == "index"]
    assert len(index) == 6
    assert all(one.row.equal and one.row.verdict == "identical" and not one.same_text for one in index)
    assert all(one.row.verdict == "different" for one in between if one.way == "batch"), "the healthy twin"


def test_a_slice_is_its_row_of_the_batch_in_all_four_combinations(checkpoint: Checkpoint) -> None:
    rows = bertlens.index_or_slice(checkpoint, TEXTS[:3])
    against = [one for one in rows.equalities if one.against == "batch"]
    limit = min(FIXED, checkpoint.max_length)
    longest = {n: int((plain(checkpoint, n, limit)["attention_mask"]).sum(1).max()) for n in (2, 3)}
    combinations = {(one.padding, one.tokens, one.batch) for one in against}
    assert combinations == {(str(limit), limit, 2), (str(limit), limit, 3), *(("longest", longest[n], n) for n in (2, 3))}
    assert Counter((one.way, one.batch) for one in against) == {(way, n): 2 * n for way in ("slice", "index") for n in (2, 3)}
    assert {one.row.verdict for one in against if one.way == "slice"} <= set(HARMLESS)
    assert {one.row.verdict for one in against if one.way == "index"} == {"different"}


def test_at_a_fixed_length_the_packaged_model_s_slices_are_bit_equal(minilm: Checkpoint, case: Rows) -> None:
    batch = plain(minilm, 3, 256)
    whole = first(minilm, batch, lambda x: x)
    assert all(torch.equal(first(minilm, batch, lambda x, i=i: x[i : i + 1])[0], whole[i]) for i in range(3)), "in plain torch"
    assert all(one.row.equal for one in case.equalities if (one.way, one.against, one.padding) == ("slice", "batch", "256"))
    assert case.by_slice.verdict == "identical"


def test_the_measures_are_those_of_plain_torch(checkpoint: Checkpoint) -> None:
    limit = min(FIXED, checkpoint.max_length)
    rows = bertlens.index_or_slice(checkpoint, TEXTS[:3], padding=limit)
    for count in (2, 3):
        batch = plain(checkpoint, count, limit)
        whole = first(checkpoint, batch, lambda x: x)
        for i in range(count):
            indexed = first(checkpoint, batch, lambda x, i=i: x[i][:, None])[0]
            (found,) = [
                one.row
                for one in rows.equalities
                if (one.padding, one.batch, one.way, one.against, one.row.text) == (str(limit), count, "index", "batch", i)
            ]
            assert found.max_abs == float((indexed.double() - whole[i].double()).abs().max())
            assert found.max_ulp == ulps(indexed[None].numpy(), whole[i][None].numpy(), "float32")[0]
            cosine = torch.nn.functional.cosine_similarity(indexed.double(), whole[i].double(), dim=0)
            assert found.cosine == pytest.approx(float(cosine), abs=1e-12)
            assert found.max_abs_float64 == pytest.approx(found.max_abs, abs=1e-4)


# --- the result -----------------------------------------------------------------------------------------------------


def test_the_document(case: Rows) -> None:
    document = json.loads(json.dumps(case.to_dict(), allow_nan=False))
    assert (document["schema"], document["verdict"]) == ("bertlens.rows/1", "different")
    assert (document["distinct_by_index"], document["distinct_by_slice"]) == (1, 4)
    assert document["accesses"][2]["runs"] == [[32, 1]] * 8
    assert document["keras_against_repair"] == {"equal": True, "max_abs": 0.0}
    assert len(document["equalities"]) == len(case.to_frame()) == 32
    assert {"padding", "tokens", "batch", "way", "row", "against", "same_text", "equal", "cosine", "max_ulp"} <= set(
        case.to_frame()
    )
    size = number(case.by_index.worst.max_abs)
    assert case.sentence.startswith(f"Different: by index, 4 texts get the same vector, up to {size} from those of the batch")
    assert case.sentence.endswith("by slice they get 4 vectors, equal to the batch's to the last bit.")
    assert size in case._repr_html_()


def test_the_index_is_found_and_the_slice_is_silent(case: Rows) -> None:
    (finding,) = case.findings
    assert (finding.id, finding.severity) == ("batch-axis-missing", "problem")
    assert "ids[i:i+1]" in finding.code
    assert [one.id for one in case.by_slice.findings] == []


def test_the_table_has_the_four_combinations_side_by_side(case: Rows) -> None:
    frame = tables.equalities(case).set_index("compared")
    longest = max(one.tokens for one in case.equalities if one.padding == "longest")
    assert list(frame) == ["2 rows × 256", "3 rows × 256", f"2 rows × {longest} (longest)", f"3 rows × {longest} (longest)"]
    assert set(frame.loc["slice ↔ batch, the same row"].iloc[:2]) == {"identical, =="}
    assert all(str(cell).startswith("different, ") for cell in frame.loc["index ↔ batch, the same row"])
    assert set(frame.loc["index ↔ index, row 0 and another text"]) == {"identical, =="}
    assert all(str(cell).startswith("different, ") for cell in frame.loc["batch ↔ batch, row 0 and another text"])


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_texts_than_three(minilm: Checkpoint, count: int) -> None:
    rows = bertlens.index_or_slice(minilm, TEXTS[:count])
    assert {one.batch for one in rows.equalities} == {count}
    assert {one.against for one in rows.equalities} == ({"batch"} if count == 1 else {"batch", "row 0"})
    assert rows.accesses[-1].code == "ids"
    assert rows.accesses[-1].output is not None
    assert rows.accesses[-1].output[0] == count
    assert len(tables.equalities(rows)) == (2 if count == 1 else 4)
    assert ("the text's vector" in rows.sentence) == (count == 1)


def test_the_same_text_twice_is_told(minilm: Checkpoint) -> None:
    rows = bertlens.index_or_slice(minilm, ("One text.", "One text."))
    assert (rows.distinct_by_index, rows.distinct_by_slice) == (1, 1)
    assert all(one.same_text for one in rows.equalities)
    assert "index ↔ index, row 0 and the same text" in tables.equalities(rows)["compared"].tolist()


def test_a_row_longer_than_256_is_padded_to_the_limit(minilm: Checkpoint) -> None:
    rows = bertlens.index_or_slice(minilm, ("rain " * 300, "short"))
    assert {one.tokens for one in rows.equalities if one.padding != "longest"} == {512}
    assert rows.by_slice.verdict in HARMLESS


def test_longer_texts_further_down_do_not_widen_the_rows_above(checkpoint: Checkpoint) -> None:
    texts = tuple("rain " * count for count in (1, 2, 9))
    lengths = [len(row.ids) for row in prepare(checkpoint, texts, Condition()).tokens]
    assert lengths[0] < lengths[1] < lengths[2]
    rows = bertlens.index_or_slice(checkpoint, texts)
    assert {(one.batch, one.tokens) for one in rows.equalities if one.padding == "longest"} == {
        (2, lengths[1]),
        (3, lengths[2]),
    }
    assert {one.row.verdict for one in rows.equalities if one.way == "slice"} <= set(HARMLESS)


def test_rounding_by_slice_is_said_and_silent(minilm: Checkpoint, case: Rows) -> None:
    """Whether a slice rounds hangs on the machine, so a difference is taken from where one is known."""
    rounding = bertlens.compare(minilm, TEXTS, reference="batch=alone", candidate="")
    assert rounding.verdict == "rounding"
    assert [finding.id for finding in rounding.findings] == ["rounding-only"]
    rows = replace(case, by_slice=rounding)
    assert rows.verdict == "different"
    assert f"4 vectors, which differ from the batch's by rounding, {number(rounding.worst.max_abs)}." in rows.sentence
    assert [finding.id for finding in rows.findings] == ["batch-axis-missing"]
    rows = replace(case, by_slice=bertlens.compare(minilm, TEXTS, reference="", candidate="mask=off"))
    assert {finding.id for finding in rows.findings} == {"batch-axis-missing", "attention-mask-missing"}, "the faulty twin"


def test_rows_that_were_not_repeated_are_run_when_they_are_needed(loaded: Loaded) -> None:
    checkpoint = loaded("bert")
    texts = TEXTS[:3]
    taken, sound = Taken(checkpoint, texts, silent), Taken(checkpoint, texts, silent)
    expected = sound.vectors("slice", 40, 3, double=True)
    known = expected.copy()
    known[1] = np.nan
    taken.know("slice", 40, known, double=True)
    assert np.isnan(taken.vectors("slice", 40, 3, double=True, needed=[0, 2])[1]).all()
    assert np.array_equal(taken.vectors("slice", 40, 3, double=True, needed=[1]), expected)
    assert expected.dtype == np.float64


def test_without_a_padding_token_one_text_has_an_answer(tmp_path: Path) -> None:
    from tests.families import build

    checkpoint = bertlens.load(str(build("bert", tmp_path / "bert")))
    checkpoint.tokenizer.pad_token = None
    rows = bertlens.index_or_slice(checkpoint, TEXTS[:1])
    assert {one.padding for one in rows.equalities} == {"longest"}


def test_nothing_that_is_kept_is_run_twice(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pass that gives vectors runs once: the comparisons, the count of distinct vectors and the table share them."""
    from bertlens.run import outputs

    checkpoint, run, real = loaded("electra"), [], outputs.one_pass

    def counted(model: Any, batch: Any, layers: list[int], device: str) -> Any:
        ids = batch.tensors["input_ids"]
        run.append((str(model.dtype), tuple(ids.shape), ids.numpy().tobytes()))
        return real(model, batch, layers, device)

    monkeypatch.setattr(outputs, "one_pass", counted)
    texts = tuple(f"{text} Once." for text in TEXTS[:3])
    checkpoint.kept.clear()
    bertlens.index_or_slice(checkpoint, texts, padding=min(FIXED, checkpoint.max_length))
    again = {key[:2]: count for key, count in Counter(run).items() if count > 1}
    assert run
    assert again == {}
    indexed = [key for key in run if key[1][1] == 1 and key[0] == "torch.float32"]
    assert len(indexed) == 3 * len({key[1] for key in indexed}), "three rows by index, once per length"
    before = len(run)
    bertlens.index_or_slice(checkpoint, texts, 1, padding=min(FIXED, checkpoint.max_length))
    assert len(run) == before, "another text asks for other shapes and for no vectors"
