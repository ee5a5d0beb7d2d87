"""A report: the same facts in three formats, and nothing of a text read as markup."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from markdown_it import MarkdownIt

from bertlens.errors import BertlensError
from bertlens.judge.diagnosis import Change, Check, Diagnosis
from bertlens.judge.findings import named
from bertlens.show.markdown import fenced, plain
from bertlens.show.report import form_of, report_html, report_json, report_markdown
from bertlens.show.report_parts import bars, command, evidence, fingerprint, written

HOSTILE = (
    "</td><script>alert(1)</script><img src=x onerror=alert(2)> | a | `b` ``` *c* _d_ "
    "[e](http://evil.example) \u202e# <!-- @f #7 $x$"
)
FINDING = replace(
    named(
        "mean-includes-padding",
        "problem",
        {"max_abs": 0.1234567890123456, "rows": [1, 2]},
        ("mean_all",),
        "The mean counts padding",
    ),
    code="mean = (state * mask).sum(1)",
)


def made(said: str = "said", **changed: Any) -> Diagnosis:
    """A diagnosis with one of everything; `said` stands wherever a text, a file or a message could."""
    finding = replace(FINDING, title=said, evidence={**FINDING.evidence, "words": said, "inner": {"words": said}}, code=said)
    checks = (
        Check("Does the file hold every weight?", "Yes.", "passed", (), "Checkpoint"),
        Check("Can the mean be read?", said, "problem", (finding,), "Pooling"),
        Check("Was there time?", said, "not asked", (), "Pooling"),
        Check("Which recipe?", "Found: mean", "passed", (named("rounding-only", "note", {}, (), said),), "Identify"),
    )
    changes = (
        Change("no mask", "why", "", "mask=off", "cls", "different", 0.5, 0.5, said),
        Change("the same", "why", "", "batch=alone", "cls", "identical", 0.0, None, said),
        Change("cannot", "why", "", "segments=ones", "cls", "not possible", None, None, said),
        Change("rounding", "why", "", "batch=alone", "cls", "rounding", 1e-7, 2e-16, said),
    )
    about = {"name": "minilm", "sha256": "abc"}
    run = {"torch": "2", "device": "cpu", "threads": 1, "seed": 0, "texts": 2, "texts_sha256": "def"}
    return replace(Diagnosis(about, "mean|l2", checks, changes, (said, (said, "b")), run), **changed)


class Page(HTMLParser):
    """What a browser makes of a page: its elements in order, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open += [tag] * (tag not in ("meta", "br"))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(markdown: str) -> str:
    """The HTML that a tracker makes of a document."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)


# --- every format says the same ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [report_html, report_markdown, report_json])
def test_every_format_has_the_verdict_the_findings_the_numbers_and_the_fingerprint(form: Any) -> None:
    found = made("The mean counts padding")
    text = form(found)
    text = Page(text).text if form is report_html else text
    for wanted in ("Faulty: The mean counts padding (2 of 3 checks passed).", "mean-includes-padding", "0.1234567890123456"):
        assert wanted in (text.replace("\\_", "_")), wanted
    for name in ("no mask", "the same", "rounding", "1e-07", "minilm", "abc", "def", "Does the file hold every weight?"):
        assert name in text, name


def test_json_is_the_document_of_the_result() -> None:
    assert json.loads(report_json(made())) == json.loads(json.dumps(made().to_dict()))
    assert json.loads(report_json(made(), redacted=True))["texts"] is None


def test_a_sound_one_says_so_and_lists_no_problem() -> None:
    sound = made(checks=(Check("Is all well?", "Yes.", "passed"),), changes=())
    page = Page(report_html(sound))
    assert "Sound: nothing speaks against these vectors (1 of 1 checks passed)." in page.text
    headings = [
        text for text in ("Checks that did not pass", "What would change the vectors", "Worth knowing") if text in page.text
    ]
    assert headings == [] and "Problems and cautions\nNone." in re.sub(r"\n+", "\n", page.text)
    assert "None\\." not in report_markdown(sound) and "None." in report_markdown(sound)


def test_bars_go_from_zero_to_the_largest_and_what_is_no_number_has_none() -> None:
    found = {bar.change.name: bar for bar in bars(made())}
    assert [*found] == ["no mask", "rounding", "the same", "cannot"]
    assert found["no mask"].share == 1.0 and found["the same"].share == 0.0 and found["cannot"].share is None
    assert 0.0 < (found["rounding"].share or 0.0) < 0.2
    assert [one.size for one in found.values()] == ["0.5", "1e-07", "0.0", "–"]
    assert bars(made(changes=())) == []
    still = replace(made().changes[0], max_abs=0.0)
    assert [bar.share for bar in bars(made(changes=(still,)))] == [0.0]


def test_evidence_is_written_out_and_long_lists_are_counted() -> None:
    told = dict(
        evidence({"a": {"b": {"c": 1}}, "rows": list(range(30)), "none": [], "yes": True, "of": [{"text": 1, "cut": 2}]})
    )
    assert told["a, b, c"] == "1" and told["rows"].endswith("11 and 18 more") and told["none"] == "none"
    assert told["yes"] == "yes" and told["of"] == "text 1, cut 2"
    assert (written(None), written(float("nan")), written(0.1)) == ("–", "not a number", "0.1")


# --- nothing of a text is markup --------------------------------------------------------------------------------------


def test_a_page_is_whole_and_nothing_hostile_becomes_an_element() -> None:
    page, harmless = Page(report_html(made(HOSTILE))), Page(report_html(made()))
    assert page.open == harmless.open == []
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in harmless.tags]
    assert not {"script", "img", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name in ("src", "href") or name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text and "⟨U+202E⟩" in page.text
    assert "\u202e" not in report_html(made(HOSTILE)) and "http" not in report_html(made())


@pytest.mark.parametrize(
    "said",
    [
        HOSTILE,
        "# a heading",
        "### b",
        "---",
        "===",
        "- a list",
        "+ a",
        "12) a list",
        "> quoted",
        "a\n\n# b",
        "~~gone~~",
        "&lt;b&gt;",
    ],
)
def test_markdown_shows_it_as_it_is(said: str) -> None:
    page = Page(shown(plain(said)))
    kept = [tag for tag, _ in page.tags]
    assert kept == ["p"], kept
    assert page.text.strip() == " ".join(said.split()).replace("\u202e", "⟨U+202E⟩")
    cell = Page(shown(f"| a | b |\n| --- | --- |\n| {plain(said)} | 1 |"))
    assert [tag for tag, _ in cell.tags].count("td") == 2, "a pipe in a text opens no cell"


def test_markdown_has_the_same_structure_whatever_is_said() -> None:
    tags = [[tag for tag, _ in Page(shown(report_markdown(made(said)))).tags] for said in (HOSTILE, "said")]
    assert tags[0] == tags[1] and {"h1", "h2", "h3", "table", "pre", "details"} <= set(tags[0])


def test_nobody_is_called_and_no_link_is_made() -> None:
    text = plain("see @someone, #12, http://a.example and www.b.example")
    for sign in ("@someone", "#12", "http:", "www."):
        assert sign not in text
    assert Page(shown(text)).text.strip() == "see @someone, #12, http://a.example and www.b.example"


def test_a_fence_is_longer_than_any_inside() -> None:
    code = "a\n`````\nb"
    (block,) = re.findall(r"<pre><code[^>]*>(.*?)</code></pre>", shown(fenced(code, "python")), re.DOTALL)
    assert block.strip() == code


# --- for eyes, readers and paper --------------------------------------------------------------------------------------


def test_the_page_can_be_heard_and_its_headings_are_in_order() -> None:
    tags = Page(report_html(made())).tags
    assert tags[0] == ("html", {"lang": "en"}) and "title" in dict(tags)
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in tags if tag == "th")
    names = [tag for tag, _ in tags]
    assert names.count("caption") == names.count("table") > 3
    assert all(attributes.get("aria-hidden") == "true" for tag, attributes in tags if tag == "svg")


def colours(page: str) -> list[dict[str, str]]:
    """The colours of the light theme, the dark one and paper, in this order."""
    blocks = re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    return [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in blocks]


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2, 1 … 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_every_colour_can_be_read_in_both_themes_and_on_paper() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21) and contrast("#777777", "#ffffff") < 4.5
    themes = colours(report_html(made()))
    assert len(themes) == 3
    for theme in themes:
        for ink in ("ink", "soft", "red", "orange", "green", "blue"):
            for ground in ("page", "card"):
                assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground, theme)


def test_the_verdict_stands_as_a_word_beside_its_colour() -> None:
    page = report_html(made())
    for verdict in ("different", "identical", "rounding", "not possible"):
        assert f'<td class="word">{verdict}</td>' in page
    assert page.count("<rect") == 3


# --- how to make it again ---------------------------------------------------------------------------------------------


def test_the_command_names_what_was_given() -> None:
    pairs = command(made(), "r.html")
    words = (
        "bertlens report minilm --texts texts.jsonl --column text --pair-column pair --vectors vectors.npy --readout 'mean|l2'"
    )
    assert pairs == f"{words} --out r.html"
    single = made(texts=("one",), checks=made().checks[:2], environment={**made().environment, "device": "cuda"})
    assert command(single, "r.md") == "bertlens report minilm --texts texts.txt --readout 'mean|l2' --out r.md --device cuda"
    assert command(single.redacted(), "r.md").endswith("--device cuda --redact")
    assert "texts.jsonl" in command(made(texts=("a\nb",)), "r.md")


def test_the_fingerprint_has_every_key() -> None:
    told = dict(fingerprint(made()))
    assert told["SHA-256 of the weights"] == "abc" and told["SHA-256 of the texts"] == "def" and told["readout"] == "mean|l2"
    assert {"torch", "device", "threads", "seed", "number of texts"} <= set(told)


def test_an_ending_that_no_report_has() -> None:
    assert form_of("a/b.MD") is report_markdown
    for file, got in (("report.pdf", "'.pdf'"), ("report", "no ending")):
        with pytest.raises(
            BertlensError, match=rf"cannot write a report to {file}; got {got}; expected \.html / \.md / \.json"
        ):
            form_of(file)
