"""Corrections held against what the person meant: the corrected expression has the value of one that is known to be right."""

from __future__ import annotations

import numpy as np
import pytest

import bertlens
from bertlens.read.expression.errors import ExpressionError
from tests.expressions.bench import benches, built
from tests.expressions.oracle import as_array, run
from tests.expressions.written import AT_PADDING, AXIS, FIELD, FRESH, GRAD, PADDED, lines

MEAN = "(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1, keepdim=True)"
FIRST = "last_hidden_state[torch.arange(len(input_ids)), attention_mask.argmax(1)]"
OF_LAYERS = "((torch.stack(hidden_states[-4:]).mean(0)) * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1)[:, None]"

MEANT = [
    # a loop over the texts needs another mask and another place at every turn
    ("torch.stack([t.mean(0) for t in last_hidden_state])", "two", PADDED, MEAN),
    ("torch.stack([last_hidden_state[i].mean(0) for i in range(2)])", "left", PADDED, MEAN),
    ("torch.stack([t[0] for t in last_hidden_state])", "left", AT_PADDING, FIRST),
    ("torch.stack([last_hidden_state[0, i] for i in range(1, 4)]).mean(0)", "two", AXIS, MEAN),
    # one over the layers needs the same at each
    ("torch.stack([h.mean(1) for h in hidden_states[-4:]]).mean(0)", "two", PADDED, OF_LAYERS),
    # the tokens of one text, for every text
    ("last_hidden_state[0, 1:4].mean(0)", "two", AXIS, "last_hidden_state[:, 1:4].mean(1)"),
    ("vector = last_hidden_state[0, 1:4].mean(axis=0)", "two", AXIS, "last_hidden_state[:, 1:4].mean(1)"),
    # what PyTorch refuses, with what was meant by it
    (
        "F.cosine_similarity(pooler_output[0], pooler_output[1])",
        "two",
        AXIS,
        "pooler_output[0] @ pooler_output[1] / (pooler_output[0].norm() * pooler_output[1].norm())",
    ),
    ("outputs.pooler_output[:, 0, :].numpy()", "two", AXIS, "pooler_output"),
    ("last_hidden_state.mean(dims=1)", "even", AXIS, "last_hidden_state.mean(dim=1)"),
    ("torch.tensor([last_hidden_state[0, 0], last_hidden_state[1, 0]])", "two", AXIS, "last_hidden_state[:, 0]"),
    ("F.normalize(pooler_output, p=1, dim=0)", "two", AXIS, "pooler_output / pooler_output.abs().sum(1, keepdim=True)"),
    # two tensors that both hang on autograd
    (
        "cosine_similarity(pooler_output, pooler_output)",
        "grad",
        GRAD,
        "cosine_similarity(pooler_output.detach(), pooler_output.data)",
    ),
    # layers side by side, with what is done with them
    (
        "torch.cat(hidden_states[-2:])[:, 0]",
        "two",
        AXIS,
        "torch.cat([hidden_states[-2][:, 0], hidden_states[-1][:, 0]], dim=1)",
    ),
    (
        "torch.cat([h[:, 0] for h in hidden_states[-2:]], 0).tanh()",
        "two",
        AXIS,
        "torch.cat(hidden_states[-2:], dim=-1)[:, 0].tanh()",
    ),
    # a mask the wrong way round is not mended by a mask on top of it, which leaves nothing
    ("last_hidden_state.masked_fill(attention_mask.unsqueeze(-1) == 1, 0).sum(1)", "two", PADDED, MEAN),
    ("last_hidden_state.unbind(1)[0]", "left", AT_PADDING, FIRST),
    # zeros on padding do not make a mean over the width right
    ("last_hidden_state.sum(1) / last_hidden_state.shape[1]", "two", PADDED, MEAN),
    ("(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1).div(6)", "two", PADDED, MEAN),
    # a layer that scores the tokens is taken out with its scores
    (
        lines(
            "attention = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 1), nn.Softmax(dim=1))",
            "weights = attention(last_hidden_state)",
            "torch.sum(weights * last_hidden_state, dim=1)",
        ),
        "even",
        FRESH,
        "last_hidden_state",
    ),
    ("F.softmax(nn.Linear(8, 2)(pooler_output), dim=1).argmax(1)", "two", FRESH, "pooler_output"),
    (lines("token_vecs = hidden_states[-1][0]", "token_vecs.mean(dim=0)"), "two", AXIS, MEAN),
]


@pytest.mark.parametrize(("code", "bench", "fault", "right"), MEANT)
def test_the_correction_is_what_was_meant(code: str, bench: str, fault: str, right: str) -> None:
    capture = benches()[bench]
    found = {one.id: one.code for one in bertlens.explain(code, capture).findings}
    assert fault in found
    got, expected = as_array(run(found[fault], capture)), as_array(run(right, capture))
    assert got.shape == expected.shape
    assert np.allclose(got, expected, atol=1e-6), found[fault]
    assert bertlens.explain(right, capture).verdict == "sound"


TITLES = [
    ("torch.stack(hidden_states[-4:])[:, 0]", "two", "Axis 1 is the batch: this is every token of text 0"),
    ("last_hidden_state[0, 1:4].mean(0)", "two", "This is text 0 only, 1 of 2: axis 0 is the batch"),
]


TITLES += [
    ("F.normalize(pooler_output, dim=0)", "two", "normalize runs over the batch, its axis 0,"),
    (
        "(last_hidden_state * attention_mask.unsqueeze(-1)).max(1).values",
        "two",
        "The max over tokens sees the zeros that stand on padding: 0 where all values are below 0",
    ),
    (
        "last_hidden_state.masked_fill(attention_mask.bool().unsqueeze(-1), 0).sum(1)",
        "two",
        "The sum over tokens counts padding alone: the mask is the wrong way round",
    ),
]


@pytest.mark.parametrize(("code", "bench", "title"), TITLES)
def test_the_title_is_true(code: str, bench: str, title: str) -> None:
    assert bertlens.explain(code, benches()[bench]).findings[0].title.startswith(title)


@pytest.mark.parametrize("name", ["embeddings", "bert_output", "res", "logits"])
@pytest.mark.parametrize("field", [".last_hidden_state[:, 0]", '["last_hidden_state"][:, 0]', ".hidden_states[-1]"])
def test_whoever_has_fields_is_the_output(name: str, field: str) -> None:
    with pytest.raises(ExpressionError, match=f"{name} is not known here") as raised:
        bertlens.explain(name + field, benches()["two"])
    assert raised.value.suggestion == f"outputs{field}"
    assert bertlens.explain(raised.value.suggestion, benches()["two"]).verdict == "sound"


@pytest.mark.parametrize("bench", ["two", "three"])
def test_the_texts_are_as_many_as_the_rows(bench: str) -> None:
    capture = benches()[bench]
    pooled = "torch.stack([hidden_states[-1][i][attention_mask[i] == 1].mean(0) for i in range(len(texts))])"
    named = lines(
        "inputs = tokenizer(texts, padding=True, return_tensors='pt')",
        "vectors = []",
        "for text, vector in zip(texts, model(**inputs)[0][:, 0]):",
        "    print(text, vector[:5])",
        "    vectors.append(vector)",
        "torch.stack(vectors)",
    )
    for code, right in ((pooled, MEAN), (named, "last_hidden_state[:, 0]")):
        explained = bertlens.explain(code, capture)
        assert explained.verdict == "sound"
        assert np.allclose(as_array(explained.trace.value), as_array(run(right, capture)), atol=1e-6)


def test_imports_of_what_is_there_are_idle() -> None:
    line = "cosine_similarity([pooler_output[0].numpy()], [pooler_output[1].numpy()])"
    code = lines("from sklearn.metrics.pairwise import cosine_similarity", line)
    got = bertlens.explain(code, benches()["two"])
    assert got.verdict == "sound"
    assert np.allclose(as_array(got.trace.value), as_array(run(line, benches()["two"])), atol=1e-6)


def test_a_fault_at_a_late_turn_of_a_loop_is_seen() -> None:
    """Events are kept of the first turns only; the result tells of the others."""
    capture = built((*["[CLS] a cat sat . [SEP]"] * 4, "[CLS] rain fell [SEP] [PAD] [PAD]"), 7)
    (found,) = bertlens.explain("torch.stack([t.mean(0) for t in last_hidden_state])", capture).findings
    assert found.id == PADDED
    assert np.allclose(as_array(run(found.code, capture)), as_array(run(MEAN, capture)), atol=1e-6)
    assert bertlens.explain("torch.stack([t[:4].mean(0) for t in last_hidden_state])", capture).verdict == "sound"


@pytest.mark.parametrize("code", ["last_hidden_state[:, 0].numpy", "last_hidden_state.exp", "vectors = pooler_output.detach"])
def test_a_method_that_is_not_called(code: str) -> None:
    explained = bertlens.explain(code, benches()["even"])
    assert [one.id for one in explained.findings] == [FIELD]
    assert explained.verdict == "problem"
    assert explained.findings[0].code == f"{code}()"
    assert bertlens.explain(explained.findings[0].code, benches()["even"]).verdict == "sound"


PASTED = [
    (
        lines(
            "device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
            "inputs = {k: v.to(device) for k, v in inputs.items()}",
            "with torch.no_grad():",
            "    outputs = model(**inputs)",
            "outputs[0][:, 0].to(device)",
        ),
        "last_hidden_state[:, 0]",
    ),
    (
        "model(input_ids=inputs['input_ids'].to(device), attention_mask=inputs['attention_mask'].to(model.device))[0]",
        "last_hidden_state",
    ),
    (lines("for text in texts:", "    print(f'{text}: {pooler_output.shape[0]:>4}')", "pooler_output"), "pooler_output"),
    ("print(f'the \u03bc of {pooler_output + 1}')", "pooler_output + 1"),
]


@pytest.mark.parametrize(("code", "right"), PASTED)
def test_idioms_of_every_notebook_run(code: str, right: str) -> None:
    capture = benches()["two"]
    explained = bertlens.explain(code, capture)
    assert explained.verdict == "sound"
    assert np.array_equal(as_array(explained.trace.value), as_array(run(right, capture)))


@pytest.mark.parametrize(
    ("code", "got"),
    [
        ("moved = {k: v + 1 for k, v in inputs.items()}", "a dictionary comprehension"),
        ("moved = {v: k.to(device) for k, v in inputs.items()}", "a dictionary comprehension"),
        ("moved = {k: v.to(device) for k, v in inputs.items() if k}", "a dictionary comprehension"),
        ("text = f'{pooler_output}'", "an f-string"),
        ("print(f'{pooler_output.__class__}')", "an underscore"),
        ("print(f'{pooler_output:{open(1)}}', open)", "open is not known"),
    ],
)
def test_what_only_looks_like_an_idiom_is_refused(code: str, got: str) -> None:
    with pytest.raises(ExpressionError, match=got):
        bertlens.explain(code, benches()["two"])


@pytest.mark.parametrize("break_", ["\r", "\r\n"])
def test_lines_end_as_they_do_elsewhere(break_: str) -> None:
    got = bertlens.explain(f"states = last_hidden_state{break_}states[0].mean(0)", benches()["even"])
    assert [one.id for one in got.findings] == [AXIS]
    assert np.allclose(
        as_array(run(got.findings[0].code, benches()["even"])), as_array(run("last_hidden_state.mean(1)", benches()["even"]))
    )
    with pytest.raises(ExpressionError, match="A is not known here"):
        bertlens.explain(f"{break_}A", benches()["even"])
