"""compare(): case 1, the document it gives, and what cannot be compared."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import numpy as np
import pytest
import torch

import bertlens
from bertlens.errors import BertlensError
from bertlens.judge.findings import FAULT_OF, MENDED, ROUNDING, catalogue
from bertlens.judge.wording import number
from bertlens.read.readout import Readout
from bertlens.read.vectors import read
from bertlens.run import inputs as inputs_module
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import CHOICES, Condition
from bertlens.run.inputs import prepare
from tests.conftest import Loaded

TEXTS = ("A cat sat.", "Rain fell all night on the old stone bridge.", "The dog slept; nobody came home.")


def vectors(checkpoint: Checkpoint, condition: str, readout: str = "cls") -> np.ndarray:
    return read(prepare(checkpoint, TEXTS, Condition.parse(condition)), Readout.parse(readout))


def test_by_index_every_text_has_the_vector_of_the_first(minilm: Checkpoint) -> None:
    index, batch = vectors(minilm, "rows=index,padding=256"), vectors(minilm, "padding=256")
    assert np.array_equal(index[1], index[0])
    assert np.array_equal(index[2], index[0])
    assert np.abs(index - batch).max() > 0.1
    assert np.abs(batch[1] - batch[0]).max() > 0.1


def test_a_slice_of_a_fixed_length_is_bit_equal_to_the_row_of_the_batch(minilm: Checkpoint) -> None:
    assert np.array_equal(vectors(minilm, "batch=alone,padding=256"), vectors(minilm, "padding=256"))
    result = bertlens.compare(minilm, TEXTS, reference="batch=alone,padding=256", candidate="padding=256")
    assert result.verdict == "identical"
    assert result.sentence == "Identical: all 3 vectors are the same to the last bit."
    assert (result.explanation.causes, result.findings) == ((), ())


def test_index_or_slice(minilm: Checkpoint) -> None:
    for text, padding in ((0, 256), (2, "longest")):
        rows = bertlens.index_or_slice(minilm, TEXTS, text, padding=padding)
        assert rows.distinct_by_index == 1, "every text gets the vector of the lone [CLS]"
        assert rows.distinct_by_slice == 3
        width = 256 if padding == 256 else max(len(row.ids) for row in prepare(minilm, TEXTS, Condition()).tokens)
        index, _, _, column, piece, *_, batch = rows.accesses
        assert (index.ids, index.output, index.first) == ((width,), None, None)
        assert index.refusal.startswith("ValueError: ")
        assert (column.ids, column.output, column.first, column.refusal) == ((width, 1), (width, 1, 384), (1, 384), "")
        assert (piece.ids, piece.output, piece.first) == ((1, width), (1, width, 384), (width, 384))
        assert (batch.ids, batch.output, batch.first) == ((3, width), (3, width, 384), (width, 384))
        assert rows.by_slice.verdict in ("identical", "rounding")
        assert rows.by_index.verdict == "different"
        assert [finding.id for finding in rows.by_index.findings] == ["batch-axis-missing"]
    model = minilm.instance("float32", "sdpa", False)
    with pytest.raises(ValueError), torch.inference_mode():
        model(input_ids=torch.tensor([101, 102]))
    for text in (3, -1):
        with pytest.raises(BertlensError, match=f"cannot show a text; got number {text}; expected 0 … 2"):
            bertlens.index_or_slice(minilm, TEXTS, text)


def test_the_numbers_are_those_of_the_vectors(minilm: Checkpoint) -> None:
    result = bertlens.compare(minilm, TEXTS, reference="batch=alone", candidate="mask=off", readout="mean")
    left, right = vectors(minilm, "batch=alone", "mean"), vectors(minilm, "mask=off", "mean")
    gap = np.abs(left.astype(np.float64) - right)
    assert [row.max_abs for row in result.rows] == gap.max(1).tolist()
    twice = [
        read(prepare(minilm, TEXTS, Condition.parse(one)), Readout("mean"), dtype="float64")
        for one in ("batch=alone", "mask=off")
    ]
    expected = np.abs(twice[0] - twice[1]).max(1)
    # the longest text is not padded; whether its sums have the same order in a batch is the processor's affair
    assert [row.verdict for row in (result.rows[0], result.rows[2])] == ["different"] * 2
    assert result.rows[1].verdict in ("identical", "rounding")
    for row, apart in zip(result.rows, expected, strict=True):
        assert row.max_abs_float64 is None if row.equal else row.max_abs_float64 == pytest.approx(apart)
    assert result.worst.text == int(gap.max(1).argmax())
    assert f"{number(result.worst.max_abs)} (text {result.worst.text})" in result.sentence


def test_the_document(loaded: Loaded) -> None:
    bert = loaded("bert")
    result = bertlens.compare(bert, TEXTS, candidate="mask=off,padding=40", readout="mean|l2", seed=4)
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert (document["schema"], document["verdict"], document["readout"]) == ("bertlens.compare/1", "different", "mean|l2")
    assert (document["reference"], document["candidate"]) == ("batch=alone", "padding=40,mask=off")
    assert [row["text"] for row in document["rows"]] == [0, 1, 2]
    contract = {"text", "equal", "max_abs", "l2", "cosine", "max_ulp", "max_abs_float64"}
    assert all(contract <= row.keys() for row in document["rows"])
    assert all({"factor", "from", "to", "max_abs"} <= cause.keys() for cause in document["causes"])
    assert {cause["factor"] for cause in document["causes"]} == {"mask"}
    assert all(
        {"id", "severity", "title", "evidence", "affects", "remedy"} <= finding.keys() for finding in document["findings"]
    )
    assert all({"text", "code"} == finding["remedy"].keys() for finding in document["findings"])
    assert document["counts"] == {"different": 3}
    assert document["checkpoint"]["sha256"] == bert.digest
    environment = document["environment"]
    assert (environment["seed"], environment["texts"], environment["torch"]) == (4, 3, torch.__version__)
    assert environment["texts_sha256"] == hashlib.sha256(json.dumps(TEXTS).encode()).hexdigest()
    assert not any(text in json.dumps(document) for text in TEXTS), "texts are private"
    assert "against" not in document
    assert len(result.to_frame()) == 3


def test_the_same_call_gives_the_same_document(loaded: Loaded) -> None:
    first, again = (bertlens.compare(loaded("roberta"), TEXTS, candidate="mask=off,dropout=on").to_dict() for _ in range(2))
    assert first == again


def test_a_notebook_never_reads_a_text_as_markup(loaded: Loaded) -> None:
    shown = bertlens.compare(loaded("bert"), ["<b>bold</b> & more"])._repr_html_()
    assert shown.startswith("<p><strong>")
    assert "<b>" not in shown


def test_pairs_and_single_texts_together(checkpoint: Checkpoint) -> None:
    mixed: list[Any] = ["A cat sat.", ("Rain fell.", "It was cold, and it was night."), ["one", "two"]]
    result = bertlens.compare(checkpoint, mixed, candidate="padding=50,attention=eager", readout="mean")
    assert result.verdict in ("identical", "rounding")
    assert len(result.rows) == 3


def test_only_the_texts_that_differ_are_repeated(minilm: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, str]] = []
    bertlens.compare(
        minilm, [TEXTS[1], *TEXTS], reference="batch=1,padding=40", candidate="batch=2",
        progress=lambda done, total, what: told.append((total, what)),
    )  # fmt: skip
    assert {total for total, what in told if "float32 forward passes" in what} == {4, 2}
    assert any("float64 forward passes" in what for _, what in told)
    told.clear()
    same = bertlens.compare(
        minilm, TEXTS, reference="", candidate="", progress=lambda done, total, what: told.append((total, what))
    )
    assert same.verdict == "identical"
    assert not any("float64" in what for _, what in told)


def test_batches_that_are_cut_are_told(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bertlens.compare(loaded("bert"), TEXTS).notes == ()
    monkeypatch.setattr(inputs_module, "TOKENS_AT_ONCE", 30)
    result = bertlens.compare(loaded("bert"), TEXTS)
    assert result.verdict in ("identical", "rounding")
    assert [note for note in result.notes if "candidate's batches are too large" in note and "2 passes" in note]


def test_an_attention_that_the_family_has_not_is_told(loaded: Loaded) -> None:
    result = bertlens.compare(loaded("mpnet"), TEXTS)
    assert any("mpnet has no sdpa attention; the reference ran with eager" in note for note in result.notes)
    assert bertlens.compare(loaded("mpnet"), TEXTS, reference="attention=eager", candidate="").verdict == "identical"
    assert bertlens.compare(loaded("bert"), TEXTS).notes == ()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"reference": "maks=on"}, "did you mean 'mask'"),
        ({"candidate": "padding=3"}, "cannot pad to 3 tokens"),
        ({"candidate": "padding=1000"}, "at most 512"),
        ({"readout": "median"}, "cannot read the readout"),
        ({"readout": "cls@9"}, "expected indices 0"),
        ({"texts": []}, "nothing to run"),
        ({"texts": [" "]}, "only blanks"),
    ],
)
def test_what_cannot_be_compared(minilm: Checkpoint, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(BertlensError, match=message):
        bertlens.compare(minilm, **{"texts": TEXTS, **wrong})


def test_every_name_of_a_fault_is_in_the_catalogue() -> None:
    used = {*FAULT_OF.values(), *MENDED, *ROUNDING.values(), "rounding-only", "positions-wrong", "checkpoint-drift"}
    assert used <= catalogue().keys()
    assert all(value in CHOICES[key] and value != CHOICES[key][0] for key, value in FAULT_OF)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.55, "0.55"), (9.54e-7, "9.5e-07"), (123.4, "1.2e+02"), (math.nan, "not a number"), (None, "not a number"),
     (-math.inf, "infinite"), (0.0009, "9.0e-04")],
)  # fmt: skip
def test_numbers_in_words(value: float | None, shown: str) -> None:
    assert number(value) == shown
