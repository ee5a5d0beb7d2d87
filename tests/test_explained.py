"""An explained expression as a person gets it: the document, the table, the notebook."""

from __future__ import annotations

import json

import torch

import bertlens
from bertlens.run.checkpoint import Checkpoint
from tests.conftest import Loaded

TEXTS = ("A cat sat.", "Rain fell all night on the old stone bridge.")


def test_the_document_is_that_of_the_contract(minilm: Checkpoint) -> None:
    outputs = bertlens.capture(minilm, TEXTS)
    told = json.loads(json.dumps(bertlens.explain("hidden_states[-2][:, 0].mean(0)", outputs).to_dict(), allow_nan=False))
    assert told["schema"] == "bertlens.shapes/1"
    assert [tensor["name"] for tensor in told["tensors"]][-3:] == ["last_hidden_state", "pooler_output", "hidden_states"]
    last = told["steps"][-1]
    assert (last["axes"], last["shape"], last["dtype"]) == (["hidden"], [384], "float32")
    held = last["provenance"]
    assert (held["texts"], held["tokens"], held["layers"], held["reduced"], held["padding"]) == ([0, 1], [0], [5], ["batch"], 0)
    every = bertlens.explain("last_hidden_state[1]", outputs).to_dict()["steps"][-1]["provenance"]
    assert (every["tokens"], every["texts"], every["hidden"]) == ("all", [1], "all")


def test_a_notebook_shows_findings_and_reads_nothing_as_markup(minilm: Checkpoint) -> None:
    outputs = bertlens.capture(minilm, TEXTS)
    page = bertlens.explain('x = "<b>"\nlast_hidden_state.mean(1)', outputs)._repr_html_()
    assert "mean-includes-padding" in page
    assert "attention_mask" in page
    assert "<b>" not in page
    healthy = bertlens.explain("last_hidden_state[:, 0]", outputs)
    assert healthy.findings == ()
    assert "mean-includes-padding" not in healthy._repr_html_()


def test_the_pooler_of_a_checkpoint_is_judged_by_its_weights(minilm: Checkpoint, loaded: Loaded) -> None:
    read = bertlens.explain("outputs[1]", bertlens.capture(minilm, TEXTS))
    assert [finding.id for finding in read.findings] == ["pooler-untrained"]
    assert read.findings[0].code == "outputs[0][:, 0]"
    assert bertlens.explain("outputs[0][:, 0]", bertlens.capture(minilm, TEXTS)).findings == ()


def test_outputs_of_somebody_else(minilm: Checkpoint) -> None:
    batch = minilm.tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        outputs = minilm.model(**batch)
    with_inputs = bertlens.explain("last_hidden_state.mean(1)", outputs, inputs=batch, tokenizer=minilm.tokenizer)
    assert [finding.id for finding in with_inputs.findings] == ["mean-includes-padding"]
    assert "[CLS]" in bertlens.explain("outputs[0][:, 0]", outputs, inputs=batch, tokenizer=minilm.tokenizer).sentence
    alone = bertlens.explain("last_hidden_state.mean(1)", outputs)
    assert alone.result is not None
    assert alone.result.provenance.padding is None
    assert alone.findings == ()
    assert any("attention mask" in note for note in alone.notes)
    with_grad = minilm.model(**batch)
    assert with_grad.last_hidden_state.requires_grad
    refused = bertlens.explain("outputs[0][:, 0].numpy()", with_grad, inputs=batch, tokenizer=minilm.tokenizer)
    assert refused.failure is not None
    assert [finding.id for finding in refused.findings] == ["numpy-requires-grad"]
    assert bertlens.explain("outputs[0][:, 0].numpy()", outputs, inputs=batch).findings == ()
