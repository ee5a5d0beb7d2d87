"""No page has a serious fault by axe-core, in light and in dark: contrast, names, roles, keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import axe_playwright_python  # type: ignore[import-untyped]
import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Folder
from tests.test_browser import address, browser, page, settled
from ui.sidebar import PAGES

__all__ = ["address", "browser", "page"]

pytestmark = pytest.mark.browser
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text("utf-8")
NAMES = [file.removesuffix(".py").partition("_")[2] for file, _, _ in PAGES]

THEMES: dict[Literal["light", "dark"], str] = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 23, 29)"}
"""Both with the background that .streamlit/config.toml gives them."""

CODE = "[['[data-testid=stCode] pre'], ['[data-testid=stMultiSelect]']]"
"""Left out: the colours in which Streamlit's own highlighter sets code, and its own tags of a choice of several."""

TABLES = "duplicate-id-active"
"""Streamlit's own tables give the cells of each table the same ids; nothing of ours carries an id."""


COLOURS = ", runOnly: ['color-contrast', 'link-in-text-block']"
"""What a theme can change; names, roles and keyboard are the same in all."""


def serious(page: Page, rules: str = "") -> list[tuple[str, str]]:
    """Every serious or critical violation with the first element that it is about."""
    options = f"{{resultTypes: ['violations']{rules}}}"
    found: list[dict[str, Any]] = page.evaluate(f"axe.run({{exclude: {CODE}}}, {options}).then(r => r.violations)")
    return [
        (one["id"], one["nodes"][0]["html"][:200])
        for one in found
        if one["impact"] in ("serious", "critical")
        and not (one["id"] == TABLES and all("glide-cell" in node["html"] for node in one["nodes"]))
    ]


def at_rest(page: Page, rules: str) -> list[tuple[str, str]]:
    """What stays wrong: while a page is drawn anew, Streamlit fades what is old."""
    found = serious(page, rules)
    for _ in range(5):
        if not found:
            break
        page.wait_for_timeout(1_000)
        found = serious(page, rules)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_page_can_be_read_by_everybody(name: str, page: Page, address: str, family_folder: Folder) -> None:
    page.goto(f"{address}/{name}?checkpoint={quote(str(family_folder('bert')), safe='')}")
    expect(page.locator("[data-testid=stAlert]").first).to_be_visible()
    settled(page)
    page.evaluate(AXE)
    for rules, (theme, background) in zip(("", COLOURS), THEMES.items(), strict=True):
        page.emulate_media(color_scheme=theme)  # the page follows without being opened anew
        expect(page.locator("[data-testid=stApp]")).to_have_css("background-color", background)
        settled(page)
        assert at_rest(page, rules) == [], theme


@pytest.mark.parametrize("rules", ["", COLOURS])
def test_axe_hears_of_what_nobody_could_read(rules: str, page: Page, address: str, family_folder: Folder) -> None:
    page.goto(f"{address}/Checkpoint?checkpoint={quote(str(family_folder('bert')), safe='')}")
    expect(page.locator("[data-testid=stAlert]").first).to_be_visible()
    settled(page)
    page.evaluate(AXE)
    page.evaluate("document.querySelector('[data-testid=stMarkdown] p').style.color = '#eeeeee'")
    assert [rule for rule, _ in serious(page, rules)] == ["color-contrast"]
