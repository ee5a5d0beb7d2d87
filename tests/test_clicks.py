"""Clicks in the pictures of two pages: what they choose is followed by the other pictures and carried by the link."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, TimeoutError, expect

from tests.test_browser import WAIT, address, browser, page, pytestmark, settled, small

__all__ = ["address", "browser", "page", "pytestmark", "small"]


def named(page: Page, name: str) -> list[str]:
    """What the address says of a name."""
    return parse_qs(urlsplit(page.url).query).get(name, [])


def click(page: Page, name: str, place: Locator, x: float = 0.5, y: float = 0.5) -> None:
    """Click inside of something drawn, as a share of its width and height, until the address says something new of a name.

    A picture that is drawn anew between the look at where it is and the click has moved away under the pointer: then, as
    a person would, once more.
    """
    before = named(page, name)
    for _ in range(4):
        settled(page)
        place.scroll_into_view_if_needed()
        box = place.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        try:
            page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get(name, []) != before, timeout=WAIT / 4)
            return settled(page)
        except TimeoutError:
            continue
    raise AssertionError(f"no click on {place} changed {name} in the address, which is {page.url}")


def test_a_token_a_text_and_a_state_are_chosen_in_the_pictures(page: Page, address: str, small: str) -> None:
    page.goto(f"{address}/Layers?{small}")
    expect(page.get_by_role("heading", name="The same in Python")).to_be_visible()
    settled(page)
    tokens = page.locator(".st-key-figure_bertlens-tokens .js-plotly-plot")
    click(page, "token", tokens.locator(".heatmaplayer .hm"), 0.3, 0.1)  # the last state is drawn on top
    (token,), (layer,) = named(page, "token"), named(page, "layer")
    expect(page.get_by_role("combobox", name="Token", exact=True)).to_have_value(re.compile(f"^{token} "))
    title = page.locator(".st-key-figure_bertlens-unit-map .xtitle")
    expect(title).to_contain_text(f"hidden unit of token {token} ")
    chosen = page.get_by_role("combobox", name="hidden_states")
    expect(chosen).to_have_value(re.compile(f"^{layer}"))

    points = page.locator(".st-key-figure_bertlens-course .js-plotly-plot .scatterlayer .trace")
    click(page, "text", points.nth(1).locator(".points path").last)
    expect(page.get_by_role("spinbutton", name="Text number")).to_have_value("1")

    before = named(page, "layer")
    alike = page.locator(".st-key-figure_bertlens-alike .js-plotly-plot .scatterlayer .points path")
    click(page, "layer", alike.nth(1 if before != ["1"] else 0))
    assert named(page, "layer") == ["1" if before != ["1"] else "0"]
    expect(chosen).to_have_value(re.compile(f"^{named(page, 'layer')[0]}"))


def test_a_token_is_chosen_in_the_map_of_edits(page: Page, address: str, small: str) -> None:
    page.goto(f"{address}/Embedding_lookup?{small}")
    expect(page.get_by_role("heading", name="The same in Python")).to_be_visible()
    settled(page)
    assert named(page, "token") == [], "the premise: nothing was chosen"
    click(page, "token", page.locator(".st-key-figure_bertlens-edit-map .js-plotly-plot .heatmaplayer .hm"))
    (token,) = named(page, "token")
    assert int(token) > 0
    expect(page.get_by_role("combobox", name="Token", exact=True)).to_have_value(re.compile(f"^{token} "))
    units = page.locator(".st-key-figure_bertlens-lookup-vectors .xtitle")
    expect(units).to_contain_text(f"unit of token {token} ")
    expect(page.get_by_text(f"nearest to the vectors of token {token} ")).to_be_visible()
