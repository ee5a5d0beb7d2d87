"""A redacted report: nothing of a text is left in any format, no folder of the machine, and everything else stays."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bertlens.judge.diagnosis import Change, Check, Diagnosis
from bertlens.judge.findings import named
from bertlens.judge.redaction import MASK, last_name
from bertlens.show.report import FORMATS, report_html, report_json, report_markdown
from bertlens.show.report_parts import command
from tests.test_report import FINDING, made


def quoting(token: str) -> Diagnosis:
    """One in which a token of a text stands wherever findings and errors quote one."""
    title = f"1 text holds a token without a row, as text 0 ({token!r}, id 31,337 of 30,522 rows)"
    finding = replace(
        named("token-ids-out-of-range", "problem", {"tokens_beyond": [token], "rows": 30522}, ("text 0",), title),
        quotes=(token,),
    )
    other = replace(finding, id="untrained-token-rows", evidence={"tokens": {token: {"row": 31337}}, "count": 1})
    error = f"text 0 holds a token that minilm has no row for; got id 31337 ({token!r}); expected ids below 30522."
    checks = (
        Check("Does the tokenizer keep all of the texts?", title, "problem", (finding, other), "Checkpoint"),
        Check("Can the texts be told apart?", error, "not asked", (), "Pooling"),
    )
    change = Change("no mask", "why", "", "mask=off", "cls", "not possible", None, None, error)
    return made(checks=checks, changes=(change,), texts=(f"the {token} text",))


@pytest.mark.parametrize("token", ["zanzibarquux", "it's", 'say "so"', "##back\\slash", "tokens", "name", "title"])
@pytest.mark.parametrize("form", [report_html, report_markdown, report_json])
def test_nothing_of_a_text_is_left(form: Any, token: str) -> None:
    found = quoting(token)
    open_, closed = form(found), form(found, redacted=True)
    assert "31" in open_ and "31337" not in closed and "31,337" not in closed
    assert MASK.strip("[]") in closed and "30" in closed
    if token not in ("tokens", "name", "title"):  # words of the report itself
        assert "quux" not in closed and repr(token) not in closed and json.dumps(token) not in closed
        assert token not in report_json(found, redacted=True)
    document = json.loads(report_json(found, redacted=True))
    assert document["checkpoint"]["name"] == "minilm" and document["texts"] is None
    assert document["findings"][0]["title"] == f"1 text holds a token without a row, as text 0 ({MASK} of 30,522 rows)"
    assert document["findings"][0]["evidence"]["tokens_beyond"] == [MASK]
    assert "def" in closed and "2" in closed  # how many, and their digest


def test_redaction_changes_nothing_where_nothing_is_quoted() -> None:
    found = made("The 'mean' counts padding", texts=("another text",))
    closed = found.redacted()
    assert [one.to_dict() for one in closed.findings] == [one.to_dict() for one in found.findings]
    assert closed.sentence == found.sentence and closed.changes[:2] == found.changes[:2]
    assert closed.changes[2].said == f"The {MASK} counts padding", "messages of errors keep nothing in quotes"
    assert found.texts and closed.texts == () and closed.redacted() == closed


def test_a_token_of_the_files_that_stands_in_a_text_is_masked_as_well_and_code_stays_code() -> None:
    evidence = {"examples": ["##frotz", "other"], "rows": {"wibble": {"row": 7}, "no": {"row": 8}}, "law": "normal"}
    title = "2 tokens were never trained: 'Wibble' (row 7), 'other' (row 8)"
    finding = replace(named("untrained-token-rows", "problem", evidence, (), title), code="tokenizer.padding_side = 'right'")
    found = made(checks=(Check("Q?", "Yes.", "problem", (finding,)),), texts=("Yes. A wibblefrotz right here",)).redacted()
    assert found.findings[0].title == f"2 tokens were never trained: {MASK}, 'other' (row 8)"
    assert found.findings[0].evidence == {"examples": [MASK, "other"], "rows": {"no": {"row": 8}}, "law": "normal"}
    assert found.findings[0].code == finding.code and found.checks[0].sentence == "Yes."


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("/home/Jane Doe/models/bert", "bert"),
        ("./bert/", "bert"),
        ("C:\\models\\bert", "bert"),
        ("../a/b/bert", "bert"),
        ("own/bert", "own/bert"),
        ("minilm", "minilm"),
        (".", "."),
    ],
)
def test_a_folder_is_reduced_to_its_last_name(name: str, left: str) -> None:
    assert last_name(name) == left
    code = f"bertlens pool '{name}' --texts a.txt\nload('/srv/site packages/model')"
    finding = replace(FINDING, code=code)
    found = made(checkpoint={"name": name}, checks=(Check("Q?", f"{name} cannot run this.", "not asked", (finding,)),))
    for form in FORMATS.values():
        assert (name in form(found)) or "\\" in name
        closed = form(found, redacted=True)
        assert left in closed and "Jane" not in closed and "site packages" not in closed and "/srv" not in closed
    assert name in command(found, "r.md") and f"bertlens report {left} " in command(found.redacted(), "r.md")
    assert f"{left} cannot run this." in report_json(found, redacted=True)
