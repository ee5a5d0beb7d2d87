"""The app in real Chromium: what only a browser can show."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import Folder
from tests.serving import FLAGS, serving

# Milliseconds. Two workers, a server and a browser share two cores: what takes a second alone may take many here.
WAIT = 90_000
expect.set_options(timeout=WAIT)
TEXTS = "The first text is short.\nThe second text is a good deal longer, so that the first one is padded beside it."

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on this machine, and CI must drive one")
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def address(server: str) -> str:
    return server


@pytest.fixture
def small(family_folder: Folder) -> str:
    """A link's part for a checkpoint of 64 positions, for what does not hang on the weights: Chromium draws a page anew at
    each of its steps, and a sweep to 512 tokens costs it more than the model."""
    return f"checkpoint={quote(str(family_folder('bert')), safe='')}"


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A visitor of their own, whose every request to another host and every error in the console is an error here."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(WAIT)
    wrong: list[str] = []
    opened.on("request", lambda request: wrong.append(request.url) if not _here(request.url) else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    yield opened
    context.close()
    assert wrong == []


def _here(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


def settled(page: Page) -> None:
    expect(page.locator("[data-testid=stApp]")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.locator("[data-testid=stException]")).to_have_count(0)


def verdict(page: Page, word: str) -> None:
    expect(page.locator("[data-testid=stAlert]").filter(has_text=word).first).to_be_visible()


def test_paste_read_share_and_follow_the_link_on_a_fresh_server(page: Page, browser: Browser, address: str) -> None:
    page.goto(f"{address}/Batch_and_padding")
    verdict(page, "Rounding")
    box = page.get_by_role("textbox", name="Texts, one per line")
    box.fill(TEXTS)
    box.press("Control+Enter")
    page.wait_for_url("**texts=**")
    page.get_by_text("mask forgotten", exact=True).first.click()
    verdict(page, "Different")
    settled(page)
    link = page.url
    number = page.locator("[data-testid=stMetricValue]").first.inner_text()
    assert "candidate=mask%3Doff" in link
    with serving() as fresh:
        context = browser.new_context()
        other = context.new_page()
        other.goto(link.replace(address, fresh))
        verdict(other, "Different")
        expect(other.get_by_role("textbox", name="Texts, one per line")).to_have_value(TEXTS)
        expect(other.locator("[data-testid=stMetricValue]").first).to_have_text(number)
        settled(other)
        context.close()


def test_switching_pages_keeps_texts_and_address_and_back_brings_them_back(page: Page, address: str) -> None:
    page.goto(f"{address}/Batch_and_padding?texts={quote(TEXTS)}&candidate=mask%3Doff")
    verdict(page, "Different")
    settled(page)
    page.get_by_role("link", name="Shapes").click()
    page.wait_for_url("**/Shapes**")
    settled(page)
    expect(page.get_by_role("textbox", name="Texts, one per line")).to_have_value(TEXTS)
    assert "candidate=mask%3Doff" in page.url
    page.go_back()
    page.wait_for_url("**/Batch_and_padding**")
    # something that only this page has: the verdict of the page before may still stand there
    expect(page.get_by_text("What happened to your texts?")).to_be_visible()
    verdict(page, "Different")
    settled(page)
    expect(page.get_by_role("textbox", name="Texts, one per line")).to_have_value(TEXTS)


def test_markup_emoji_and_right_to_left_stay_text(page: Page, address: str, small: str) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"a text ran as a script: {dialog.message}"))
    texts = "<img src=x onerror=alert(1)> **not bold**\n😀 שלום עולם é\nplain"
    page.goto(f"{address}/Batch_and_padding?texts={quote(texts)}&{small}")
    verdict(page, "Rounding")
    settled(page)
    expect(page.get_by_role("textbox", name="Texts, one per line")).to_have_value(texts)
    assert page.locator("[data-testid=stMain] img[src=x]").count() == 0


def test_an_error_is_one_sentence_and_the_text_stays(page: Page, address: str) -> None:
    page.goto(f"{address}/Batch_and_padding?texts={quote(TEXTS)}&checkpoint=nobody%2Fnothing")
    verdict(page, "nobody/nothing")
    settled(page)
    expect(page.get_by_role("textbox", name="Texts, one per line")).to_have_value(TEXTS)


def test_many_texts_show_progress_and_can_be_cancelled(page: Page, address: str) -> None:
    page.goto(f"{address}/Batch_and_padding")
    verdict(page, "Rounding")
    settled(page)
    box = page.get_by_role("textbox", name="Texts, one per line")
    many = "\n".join(f"text number {number} of very many" for number in range(10_000))
    # set as React sees it: laying out so much text key by key takes the browser itself half a minute
    set_value = "Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set"
    box.evaluate(
        f"(box, text) => {{ {set_value}.call(box, text); box.dispatchEvent(new Event('input', {{bubbles: true}})) }}", many
    )
    box.press("Control+Enter")
    cancel = page.get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible()
    cancel.evaluate("button => button.click()")
    verdict(page, "Cancelled")
    settled(page)
    assert page.get_by_role("textbox", name="Texts, one per line").input_value().count("\n") == 9_999
    assert len(page.url) < 15_000


def test_texts_from_a_file_stay_over_pages_and_the_box_comes_back(page: Page, address: str, small: str, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text('id,text\n1,short one\n2,"a longer one, with a comma in it"\n3,the third\n', "utf-8")
    page.goto(f"{address}/Batch_and_padding?texts={quote(TEXTS)}&{small}")
    verdict(page, "Rounding")
    settled(page)
    page.get_by_text("Texts from a file").click()
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("3 texts from the file")).to_be_visible()
    settled(page)
    page.get_by_role("link", name="Shapes").click()
    page.wait_for_url("**/Shapes**")
    expect(page.get_by_text("3 texts × ")).to_be_visible()
    page.get_by_role("button", name="Back to the box").click()
    expect(page.get_by_text("2 texts × ")).to_be_visible()
    settled(page)
    expect(page.get_by_role("textbox", name="Texts, one per line")).to_have_value(TEXTS)


@pytest.mark.parametrize("path", ["", "Batch_and_padding", "Shapes"])
def test_no_page_scrolls_sideways_on_a_phone(browser: Browser, address: str, path: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800})
    opened = context.new_page()
    opened.goto(f"{address}/{path}")
    expect(opened.locator("[data-testid=stAlert]").first).to_be_visible()
    settled(opened)
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)
        assert opened.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth + 2")
    context.close()


def test_a_click_on_the_map_of_weights_shows_that_weight(page: Page, address: str) -> None:
    page.goto(f"{address}/Checkpoint")
    verdict(page, "Usable with care")
    settled(page)
    sign = page.locator(".js-plotly-plot .scatterlayer .points path").nth(7)
    sign.scroll_into_view_if_needed()
    box = sign.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url("**module=**")
    settled(page)
    expect(page.get_by_text("largest singular value", exact=False).first).to_be_visible()
    chosen = page.url.split("module=")[1].split("&")[0]
    expect(page.get_by_role("combobox", name="Weight")).to_have_value(chosen)


def test_an_expression_is_typed_mended_and_shared(page: Page, address: str) -> None:
    page.goto(f"{address}/Shapes?texts={quote(TEXTS)}")
    verdict(page, "Sound")
    settled(page)
    box = page.get_by_role("textbox", name="Your expression, as it stands in your code")
    expect(box).to_have_css("font-family", "monospace")
    box.fill("last_hidden_state.mean(1)")
    box.press("Control+Enter")
    verdict(page, "Faulty")
    page.wait_for_url("**expr=last_hidden_state.mean**")
    settled(page)
    page.get_by_role("button", name="Use this").click()
    verdict(page, "Sound")
    settled(page)
    assert "attention_mask" in box.input_value() and "attention_mask" in page.url
    page.get_by_role("button", name="Back to what was typed").click()
    verdict(page, "Faulty")
    expect(box).to_have_value("last_hidden_state.mean(1)")
    box.fill("last_hidden_state[:, 0")
    box.press("Control+Enter")
    verdict(page, "never closed")
    settled(page)
    expect(box).to_have_value("last_hidden_state[:, 0")
    expect(page.get_by_text("Did you mean")).to_be_visible()


def test_the_cells_of_an_expression_are_drawn_and_a_step_shows_its_own(page: Page, address: str) -> None:
    page.goto(f"{address}/Shapes?texts={quote(TEXTS)}&expr={quote('torch.cat(hidden_states[-2:], dim=-1)[:, 0]')}")
    verdict(page, "Sound")
    settled(page)
    strips = page.locator(".st-key-figure_bertlens-cells")
    expect(strips.get_by_text("[CLS]", exact=True)).to_have_count(2)
    expect(strips.get_by_text("[PAD]", exact=True).first).to_be_visible()
    expect(strips.get_by_text("Layers 5 and 6 (the same cells in each)", exact=False)).to_be_visible()
    ladder = page.locator(".st-key-figure_bertlens-cube")
    expect(ladder.get_by_text("embeddings", exact=True)).to_be_visible()
    for name in ("bertlens-cube", "bertlens-cells"):  # what stands above the table has its height when these are there
        expect(page.get_by_role("button", name=f"PNG of the figure {name}")).to_be_visible()
    table = page.locator("[class*=st-key-table_steps]")
    table.scroll_into_view_if_needed()
    place = table.bounding_box()
    assert place is not None
    page.mouse.click(place["x"] + 16, place["y"] + 36 + 17)
    expect(page.locator(".st-key-figure_bertlens-step-cube")).to_be_visible()
    settled(page)
    expect(page.locator(".st-key-figure_bertlens-step-cells").get_by_text("all 384 hidden units", exact=False)).to_be_visible()


def test_a_click_on_a_head_shows_its_map(page: Page, address: str, small: str) -> None:
    page.goto(f"{address}/Attention?texts={quote(TEXTS)}&{small}")
    verdict(page, "Sound")
    expect(page.get_by_text("The same in Python")).to_be_visible()
    settled(page)
    heads = page.locator(".st-key-figure_bertlens-heads .plotly .nsewdrag").first
    heads.scroll_into_view_if_needed()
    place = heads.bounding_box()
    assert place is not None
    page.mouse.click(place["x"] + place["width"] * 3 / 8, place["y"] + place["height"] / 2)
    page.wait_for_url("**layer=2&head=2**")
    expect(page.get_by_text("Layer 2, head 2: rows are", exact=False)).to_be_visible()
    settled(page)
