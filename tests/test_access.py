"""One text taken in every way: shapes, refusals and the cells that are picked, against plain torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import bertlens
from bertlens.judge.rows import Rows
from bertlens.read.access import KERAS, REPAIR, STAGES, access_frame, accesses, shown, stage_frame
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from tests.conftest import Loaded
from tests.test_rows import TEXTS, by_way, case, first, plain

__all__ = ["case"]


def test_every_way_in_every_family(checkpoint: Checkpoint) -> None:
    width, hidden = 40, checkpoint.architecture.hidden
    found = accesses(prepare(checkpoint, TEXTS, Condition(padding=width)), 1)
    assert [one.code for one in found] == [
        "ids[1]",
        "torch.tensor(ids[1])",
        "model.predict(ids[1])",
        "ids[1][:, None]",
        "ids[1:2]",
        "ids[:2]",
        "ids[:3]",
        "ids",
    ]
    index, bare, keras, column, piece, *batches = found
    batch = plain(checkpoint, 4, width)
    for one, tensors in ((index, {k: x[1] for k, x in batch.items()}), (bare, {"input_ids": batch["input_ids"][1]})):
        with pytest.raises((ValueError, IndexError, RuntimeError)) as caught, torch.inference_mode():
            checkpoint.model(**tensors)
        assert one.refusal == f"{type(caught.value).__name__}: {caught.value}".splitlines()[0], "the model's own words"
        assert (one.ids, one.output, one.first, one.vector, one.runs) == ((width,), None, None, None, ())
        assert one.stages["get_input_embeddings()"] is not None, "the lookup does not refuse"
        assert one.stages["get_input_embeddings()"][0] == width
        assert shown(one, "last_hidden_state") == shown(one, "forward passes") == "refused"
    assert keras.runs == ((32, 1), (8, 1)), "the last mini-batch has another size"
    assert shown(keras, "forward passes") == "1 × (32, 1) + 1 × (8, 1)"
    assert (keras.ids, column.ids, column.runs) == ((width,), (width, 1), ((width, 1),))
    for one in (keras, column):
        assert (one.output, one.first, one.refusal) == ((width, 1, hidden), (1, hidden), "")
        assert one.stages["outputs[0][:, 0]"] == (width, hidden)
    for count, one in zip((1, 2, 3, 4), (piece, *batches), strict=True):
        assert (one.ids, one.runs) == ((count, width), ((count, width),))
        assert one.output == one.stages["outputs[0]"] == one.stages["hidden_states[0]"] == (count, width, hidden)
        assert (one.first, one.stages["outputs[0][:, 0]"]) == ((width, hidden), (count, hidden))
    for one in (keras, column, piece, *batches):
        rows = one.output[0] if one.output else 0
        assert one.stages["pooler_output"] == ((rows, hidden) if checkpoint.architecture.pooler else None)
    assert shown(piece, "pooler_output") == (f"(1, {hidden})" if checkpoint.architecture.pooler else "none")
    assert all(one.stages["ids"] == (4, width) for one in found)


def test_a_model_that_does_not_refuse_is_reported_as_such(loaded: Loaded) -> None:
    """DistilBERT adds (tokens, hidden) to (1, tokens, hidden), which fits where as many tokens as positions are given."""
    checkpoint = loaded("distilbert")
    width = checkpoint.architecture.hidden
    index, bare, *_ = accesses(prepare(checkpoint, TEXTS, Condition(padding=width)), 1)
    assert index.refusal.startswith("IndexError: "), "with a mask it is refused all the same"
    assert (bare.refusal, bare.output) == ("", (1, width, width))
    assert bare.words.startswith(f"not refused: this model stretches ({width},) to (1, {width}, {width})")
    other = accesses(prepare(checkpoint, TEXTS, Condition(padding=width + 1)), 1)[1]
    assert other.refusal, "the healthy twin: sizes that do not fit"


def test_keras_and_the_wrong_repair_land_at_the_same_place(checkpoint: Checkpoint) -> None:
    rows = bertlens.index_or_slice(checkpoint, TEXTS, 2, padding=40)
    ways = by_way(rows.accesses)
    assert rows.repair is not None
    assert rows.repair.max_abs < 1e-5
    keras, column, piece = ways[KERAS].vector, ways[REPAIR].vector, ways["slice"].vector
    assert keras is not None
    assert column is not None
    assert piece is not None
    assert np.abs(keras - column).max() == pytest.approx(rows.repair.max_abs)
    assert np.abs(keras - piece).max() > 0.01, "the slice lies elsewhere"
    batch = plain(checkpoint, 4, 40)
    by_hand = first(checkpoint, batch, lambda x: x[2][:, None][:32])[0]
    assert np.array_equal(keras, by_hand.numpy())


def test_the_cells_in_words(minilm: Checkpoint, case: Rows) -> None:
    lengths = [len(row.ids) for row in prepare(minilm, TEXTS, Condition()).tokens]
    frame = access_frame(case.accesses).set_index("you write")
    assert frame.loc["ids[1]", "outputs[0][0]"] == "PyTorch refuses a 1-D array of ids"
    for code in ("model.predict(ids[1])", "ids[1][:, None]"):
        assert frame.loc[code, "outputs[0][0]"] == "the lone [CLS], 1 of 256 sequences, the same for every text"
        said = f"256 lone tokens: {lengths[1]} of text 1, {256 - lengths[1]} of padding"
        assert frame.loc[code, "outputs[0][:, 0]"] == said
    row = "all 256 tokens of text {} ({} of padding)"
    assert frame.loc["ids[1:2]", "outputs[0][0]"] == row.format(1, 256 - lengths[1])
    assert frame.loc["ids[1:2]", "outputs[0][:, 0]"] == "the [CLS] of text 1"
    assert frame.loc["ids[:2]", "outputs[0][0]"] == row.format(0, 256 - lengths[0]) + ", nothing of the other text"
    assert frame.loc["ids", "outputs[0][0]"] == row.format(0, 256 - lengths[0]) + ", nothing of the other 3"
    assert frame.loc["ids[:3]", "outputs[0][:, 0]"] == "the [CLS] of each of 3 texts"
    stages = stage_frame(case.accesses).set_index("stage")
    assert tuple(stages.index) == STAGES
    assert stages.loc["forward passes", "model.predict(ids[1])"] == "8 × (32, 1)"


def test_the_first_token_has_the_name_it_has_in_the_family(loaded: Loaded) -> None:
    piece = by_way(accesses(prepare(loaded("roberta"), TEXTS, Condition()), 1))["slice"]
    assert piece.each == "the <s> of text 1"
    left = by_way(accesses(prepare(loaded("bert"), TEXTS, Condition(side="left")), 0))
    assert left["slice"].each == "the [PAD] of text 0"
    assert left["batch"].each == "the first token of each of 2 texts"
    assert "same for every text" not in left[KERAS].words
