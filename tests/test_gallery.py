"""Every fault that can be made on purpose is a fault, is mended by its remedy, and is the same as a script."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import torch

from bertlens.cases import reproduction
from bertlens.cases.gallery import NOT_HERE, STAGES, reproduce, reproducer
from bertlens.cases.script import reproduction_script
from bertlens.errors import BertlensError
from bertlens.judge.findings import catalogue
from bertlens.judge.reproduction import Outcome, Reproduction, Side, held_against
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.presets import EXAMPLE_TEXTS
from tests.conftest import Loaded
from tests.scripts import assert_well_written, executed, in_a_process

MADE = sorted(fault for fault in catalogue() if reproducer(fault))
HARMLESS = {"identical", "rounding"}
ROUNDS = {"half-precision-file"}
"""Faults that do nothing but round, more coarsely than anybody asked for."""

NOT_ON_MINILM = {
    "lowercased-cased-model": "bert-cased",
    "architecture-without-pooler": "distilbert",
    "last-hidden-state-normalised": "modernbert",
}
"""Faults that need another kind of model than the packaged one."""

IN_A_PROCESS = {"attention-mask-missing", "pooler-missing", "tokenizer-shared-across-threads"}
"""Faults whose script runs as people run it; the others run here, which takes a tenth of the time."""

LINE = re.compile(r"(mistake|mended ) {2}text (\d+)  max abs (\S+)  cosine (\S+)")


@pytest.fixture(scope="module")
def made() -> dict[str, Reproduction]:
    """What was made in this module, each fault once."""
    return {}


@pytest.fixture
def checkpoint(fault: str, loaded: Loaded, minilm: Checkpoint) -> Checkpoint:
    """The one that a fault is made on."""
    return loaded(NOT_ON_MINILM[fault]) if fault in NOT_ON_MINILM else minilm


def on(checkpoint: Checkpoint, fault: str, made: dict[str, Reproduction]) -> Reproduction:
    """The reproduction, made once; it changes neither the model nor the tokenizer, which others use as well."""
    if fault not in made:
        before = {name: value.clone() for name, value in checkpoint.model.state_dict().items()}
        facts = checkpoint.model.config.to_dict(), checkpoint.tokenizer.backend_tokenizer.to_str()
        made[fault] = reproduce(fault, checkpoint, EXAMPLE_TEXTS)
        after = checkpoint.model.state_dict()
        assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
        assert facts == (checkpoint.model.config.to_dict(), checkpoint.tokenizer.backend_tokenizer.to_str())
        assert not checkpoint.model.training
    return made[fault]


def test_no_function_stands_for_a_fault_that_nobody_reported() -> None:
    functions = {
        name for stage in STAGES for name, one in vars(stage).items() if getattr(one, "__module__", "") == stage.__name__
    }
    public = {name.replace("_", "-") for name in functions if not name.startswith("_") and name.islower()}
    assert public <= set(catalogue())


@pytest.mark.parametrize("fault", MADE)
def test_a_mistake_is_one_and_its_remedy_mends_it(fault: str, checkpoint: Checkpoint, made: dict[str, Reproduction]) -> None:
    assert_made_and_mended(on(checkpoint, fault, made))


def assert_made_and_mended(found: Reproduction) -> None:
    """A fault differs, what is benign does not, and the remedy gives the truth again."""
    kind = catalogue()[found.fault]["kind"]
    assert found.mended.verdict in HARMLESS, found.sentence
    if kind.startswith("benign"):
        assert found.mistake.verdict in HARMLESS, found.sentence
    elif found.fault in ROUNDS:
        assert found.mistake.verdict == "rounding", found.sentence
    elif kind.startswith("expected size"):
        assert found.mistake.verdict in {"rounding", "different"}, found.sentence
    else:
        assert found.mistake.verdict in {"different", "refused", "another shape"}, found.sentence


@pytest.mark.parametrize("fault", MADE)
def test_its_script_prints_the_same_numbers(
    fault: str, checkpoint: Checkpoint, made: dict[str, Reproduction], tmp_path: Path
) -> None:
    found = on(checkpoint, fault, made)
    script = reproduction_script(fault, checkpoint.name, EXAMPLE_TEXTS, max_length=checkpoint.max_length)
    assert_well_written(script)
    assert_not_annotated(script)
    whole = in_a_process(script, tmp_path) if fault in IN_A_PROCESS else executed(script)
    printed = [line for line in whole.splitlines() if line.startswith(("mistake", "mended"))]
    assert len(printed) >= 2
    numbers: dict[str, list[float]] = {"mistake": [], "mended": []}
    for line in printed:
        if match := LINE.fullmatch(line):
            numbers[match[1].strip()].append(float(match[3]))
        else:
            side = found.mistake if line.startswith("mistake") else found.mended
            assert side.said and side.said in line
    for name, side in (("mistake", found.mistake), ("mended", found.mended)):
        assert numbers[name] == [row.max_abs for row in side.rows]


def assert_not_annotated(script: str) -> None:
    """The names that annotations use are not imported there."""
    for node in ast.walk(ast.parse(script)):
        assert not isinstance(node, ast.AnnAssign)
        assert not (isinstance(node, ast.arg) and node.annotation) and not (isinstance(node, ast.FunctionDef) and node.returns)


def test_what_is_not_known_is_refused_in_one_sentence(minilm: Checkpoint) -> None:
    with pytest.raises(BertlensError, match="cannot reproduce a fault; got no-such-fault"):
        reproduce("no-such-fault", minilm, EXAMPLE_TEXTS)


def test_an_uncased_model_cannot_show_a_cased_one_lower_cased(minilm: Checkpoint) -> None:
    with pytest.raises(BertlensError, match="cannot reproduce lowercased-cased-model here; got its own tokenizer lower-cases"):
        reproduce("lowercased-cased-model", minilm, EXAMPLE_TEXTS)


def test_what_pytorch_cannot_do_is_no_reason_why_a_fault_cannot_arise(minilm: Checkpoint) -> None:
    """It looks like the bug it is, and not like a fact about the checkpoint."""

    def lacking(*_: object) -> Outcome:
        raise NotImplementedError("no kernel for it")

    with pytest.raises(NotImplementedError, match="no kernel for it"):
        reproduction.reproduced("rounding-only", lacking, minilm, EXAMPLE_TEXTS)


@pytest.mark.parametrize("fault", ["random-model", "fine-tuning-absent"])
def test_a_model_that_is_built_in_the_repeat_computes_its_buffers_as_the_loaded_one_does(fault: str, loaded: Loaded) -> None:
    checkpoint = loaded("modernbert")
    assert any(buffer.is_floating_point() for buffer in checkpoint.model.buffers()), "rotary frequencies"
    assert reproduce(fault, checkpoint, EXAMPLE_TEXTS).mended.verdict in HARMLESS


@pytest.mark.parametrize("fault", ["classifier-untrained", "untrained-token-rows"])
def test_what_is_drawn_is_the_same_in_both_formats(fault: str, loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a side would lie far from its own repeat, and its rounding would be undecided."""
    outcomes = []

    def kept(as_run: Outcome, double: Outcome, at: int) -> Side:
        outcomes.append((as_run, double))
        return held_against(as_run, double, at)

    monkeypatch.setattr(reproduction, "held_against", kept)
    reproduce(fault, loaded("bert"), EXAMPLE_TEXTS)
    for as_run, double in zip(*outcomes[0], strict=True):
        assert isinstance(as_run, torch.Tensor) and isinstance(double, torch.Tensor)
        assert as_run.dtype == torch.float32 and double.dtype == torch.float64
        torch.testing.assert_close(as_run.double(), double, rtol=0, atol=1e-5)


def test_every_fault_is_either_made_or_refused() -> None:
    assert sorted([*MADE, *NOT_HERE]) == sorted(catalogue())
