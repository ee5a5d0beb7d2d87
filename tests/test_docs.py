"""What the documents say is what the code does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from benchmarks.verdict import Models, pair
from bertlens.cli import COMMANDS, _parser
from bertlens.judge.findings import catalogue
from bertlens.judge.measures import BOUND
from bertlens.judge.verdict import CEILING, FOLLOWS, PLAUSIBLE
from bertlens.judge.weights.heads import LEAST, STEEP
from bertlens.read.expression import budget
from bertlens.run.condition import Condition
from bertlens.run.inputs import TOKENS_AT_ONCE
from ui.sidebar import PAGES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def fenced(language: str, *documents: str) -> str:
    texts = [(ROOT / name).read_text("utf-8") for name in documents]
    return "\n".join(code for text in texts for code in re.findall(rf"```{language}\n(.*?)```", text, re.S))


def test_the_python_of_the_documents_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(fenced("python", "README.md"), names)
    assert names["whole"].verdict == "caution"
    exec(fenced("python", "docs/python.md"), names)
    assert names["found"].verdict == "different"
    assert names["checked"].sentence.startswith("Usable with care: The pooler was saved but never trained")
    assert names["checked"].outputs["pooler_output"] == ("pooler-untrained",)
    assert (tmp_path / "mended" / "model.safetensors").is_file()


def test_every_command_of_the_documents_can_be_read() -> None:
    lines = [line for line in fenced("bash", "README.md", "docs/command-line.md").splitlines() if line.startswith("bertlens ")]
    assert {line.split()[1] for line in lines} == set(COMMANDS)
    for line in lines:
        options = _parser().parse_args(shlex.split(line, comments=True)[1:])
        for condition in ("reference", "candidate"):
            Condition.parse(getattr(options, condition, ""))


def test_the_ids_of_the_check_are_those_in_the_document() -> None:
    document = (ROOT / "docs" / "checkpoint.md").read_text("utf-8")
    table = document[document.index("| from | ids |") : document.index("An untrained or missing pooler")]
    told = set(re.findall(r"`([a-z0-9-]+)`", table))
    judges = [path for place in ("weights", "tokenizer", "checkpoint") for path in ROOT.glob(f"bertlens/judge/{place}/*.py")]
    quoted = {name for path in judges for name in re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', path.read_text("utf-8"))}
    assert told == quoted & set(catalogue())


def test_the_ids_of_expressions_are_those_in_the_document() -> None:
    document = (ROOT / "docs" / "expressions.md").read_text("utf-8")
    table = document[document.index("| id | what |") : document.index("Every finding comes")]
    told = set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", table))
    paths = [*ROOT.glob("bertlens/judge/expression/*.py")]
    quoted = {name for path in paths for name in re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', path.read_text("utf-8"))}
    of_weights = {"pooler-missing", "pooler-untrained"}  # judged by bertlens.judge.findings
    assert told - of_weights == quoted & {*catalogue(), "numpy-requires-grad"}


def test_the_budget_of_expressions_is_that_in_the_document() -> None:
    document = (ROOT / "docs" / "expressions.md").read_text("utf-8")
    assert f"{budget.MOST_BYTES // 2**20} MiB" in document
    assert f"{budget.MOST_BYTES_IN_ALL // 2**30} GiB" in document
    assert f"{budget.MOST_STEPS:,} steps and {budget.MOST_SECONDS:g} seconds" in document
    assert budget.MOST_PRODUCTS == 2e10
    assert "2e10 multiplications" in document


def test_the_constants_are_those_in_the_documents() -> None:
    verdict = (ROOT / "docs" / "verdict.md").read_text("utf-8")
    assert 2.0 ** int(re.search(r"`BOUND = 2\^(\d+)`", verdict)[1]) == BOUND  # type: ignore[index]
    assert 2.0 ** int(re.search(r"`CEILING = 2\^(\d+)`", verdict)[1]) == CEILING  # type: ignore[index]
    assert 2.0 ** int(re.search(r"`FOLLOWS = 2\^(\d+)`", verdict)[1]) == FOLLOWS  # type: ignore[index]
    for dtype in ("float32", "bfloat16", "float16"):
        assert PLAUSIBLE[dtype] == 2.0 ** int(re.search(rf"2\^(\d+) \({dtype}\)", verdict)[1])  # type: ignore[index]
    heads = (ROOT / "docs" / "heads.md").read_text("utf-8")
    assert f"`LEAST = {LEAST:g}`" in heads
    assert f"`STEEP = {STEEP:g}`" in heads
    assert f"{TOKENS_AT_ONCE:,} padded tokens" in README


def test_the_recorded_validation_is_what_the_document_claims() -> None:
    pairs = pd.read_csv(ROOT / "docs" / "verdict-validation.csv")
    counts: Any = pairs.groupby(["kind", "verdict"]).size()
    assert counts["benign"].sum() >= 300
    assert counts["real"].sum() >= 300
    assert "different" not in counts["benign"]
    assert "rounding" not in counts["real"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    threads = torch.get_num_threads()
    yield Models(tmp_path_factory.mktemp("models"))
    torch.set_num_threads(threads)  # a pair may have been run with another number


@pytest.mark.parametrize("number", range(12))
def test_new_random_pairs_are_judged_alike(models: Models, number: int) -> None:
    assert pair("benign", 10_000 + number, models)["verdict"] in ("identical", "rounding")
    assert pair("real", 10_000 + number, models)["verdict"] in ("identical", "different")


def test_every_page_is_in_the_sidebar() -> None:
    files = {"app.py", *(f"pages/{file.name}" for file in (ROOT / "pages").glob("*.py"))}
    assert {file for file, _, _ in PAGES} == files
