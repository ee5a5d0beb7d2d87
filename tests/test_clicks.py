"""Clicks in the pictures of two pages: what they choose is followed by the other pictures and carried by the link."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

from tests.test_browser import WAIT, address, browser, page, pytestmark, settled, small

__all__ = ["address", "browser", "page", "pytestmark", "small"]


def named(page: Page, name: str) -> list[str]:
    """What the address says of a name."""
    return parse_qs(urlsplit(page.url).query).get(name, [])


def click(page: Page, place: Locator, x: float = 0.5, y: float = 0.5) -> None:
    """Click inside of something drawn, as a share of its width and height."""
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])


def test_a_token_a_text_and_a_state_are_chosen_in_the_pictures(page: Page, address: str, small: str) -> None:
    page.goto(f"{address}/Layers?{small}")
    expect(page.get_by_role("heading", name="The same in Python")).to_be_visible(timeout=WAIT)
    settled(page)
    tokens = page.locator(".st-key-figure_bertlens-tokens .js-plotly-plot")
    click(page, tokens.locator(".heatmaplayer .hm"), 0.3, 0.1)  # the last state is drawn on top
    page.wait_for_url("**token=**", timeout=WAIT)
    settled(page)
    (token,), (layer,) = named(page, "token"), named(page, "layer")
    expect(page.get_by_role("combobox", name="Token", exact=True)).to_have_value(re.compile(f"^{token} "), timeout=WAIT)
    title = page.locator(".st-key-figure_bertlens-unit-map .xtitle")
    expect(title).to_contain_text(f"hidden unit of token {token} ", timeout=WAIT)
    chosen = page.get_by_role("combobox", name="hidden_states")
    expect(chosen).to_have_value(re.compile(f"^{layer}"), timeout=WAIT)

    points = page.locator(".st-key-figure_bertlens-course .js-plotly-plot .scatterlayer .trace")
    click(page, points.nth(1).locator(".points path").last)
    page.wait_for_url("**text=1**", timeout=WAIT)
    settled(page)
    expect(page.get_by_role("spinbutton", name="Text number")).to_have_value("1", timeout=WAIT)

    before = named(page, "layer")
    alike = page.locator(".st-key-figure_bertlens-alike .js-plotly-plot .scatterlayer .points path")
    click(page, alike.nth(1 if before != ["1"] else 0))
    page.wait_for_function(
        "before => new URLSearchParams(location.search).get('layer') !== before", arg=before[0], timeout=WAIT
    )
    settled(page)
    assert named(page, "layer") == ["1" if before != ["1"] else "0"]
    expect(chosen).to_have_value(re.compile(f"^{named(page, 'layer')[0]}"), timeout=WAIT)


def test_a_token_is_chosen_in_the_map_of_edits(page: Page, address: str, small: str) -> None:
    page.goto(f"{address}/Embedding_lookup?{small}")
    expect(page.get_by_role("heading", name="The same in Python")).to_be_visible(timeout=WAIT)
    settled(page)
    assert named(page, "token") == [], "the premise: nothing was chosen"
    click(page, page.locator(".st-key-figure_bertlens-edit-map .js-plotly-plot .heatmaplayer .hm"), 0.5, 0.5)
    page.wait_for_url("**token=**", timeout=WAIT)
    settled(page)
    (token,) = named(page, "token")
    assert int(token) > 0
    expect(page.get_by_role("combobox", name="Token", exact=True)).to_have_value(re.compile(f"^{token} "), timeout=WAIT)
    units = page.locator(".st-key-figure_bertlens-lookup-vectors .xtitle")
    expect(units).to_contain_text(f"unit of token {token} ", timeout=WAIT)
    expect(page.get_by_text(f"nearest to the vectors of token {token} ")).to_be_visible(timeout=WAIT)
