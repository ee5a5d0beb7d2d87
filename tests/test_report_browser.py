"""A report in Chromium: folded on the screen, whole on paper, readable in the dark, no wider than a phone, and silent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from bertlens.show.report import report_html
from tests.test_browser import browser
from tests.test_report import HOSTILE, made

__all__ = ["browser"]
pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    file = tmp_path / "report.html"
    file.write_text(report_html(made(HOSTILE)), "utf-8")
    context = browser.new_context(viewport={"width": 390, "height": 800})
    opened = context.new_page()
    opened.on("dialog", lambda dialog: pytest.fail(f"the page ran what a text said: {dialog.message}"))
    opened.on("request", lambda request: pytest.fail(request.url) if not request.url.startswith("file:") else None)
    opened.goto(file.as_uri())
    yield opened
    context.close()


def test_what_is_folded_on_the_screen_is_open_on_paper(page: Page) -> None:
    passed = page.get_by_text("What is healthy")
    expect(passed).to_be_hidden()
    page.emulate_media(media="print")
    expect(passed).to_be_visible()
    expect(page.locator(".texts li").first).to_be_visible()
    page.emulate_media(media="screen")
    expect(passed).to_be_hidden()


def test_it_is_dark_where_the_reader_wants_it_and_fits_a_phone(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) == "rgb(17, 23, 29)"
    page.emulate_media(color_scheme="dark", media="print")
    assert page.evaluate(ground) == "rgb(255, 255, 255)", "paper is white"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
