"""The four downloads of a figure, as a visitor gets them: CSV, PNG, SVG and a page that stands alone."""

from __future__ import annotations

import struct
from pathlib import Path
from xml.etree import ElementTree

from playwright.sync_api import Browser, Locator, Page, expect

import bertlens
from tests.test_browser import address, browser, page, pytestmark, settled, verdict

__all__ = ["address", "browser", "page", "pytestmark"]

NAME = "bertlens-spectrum"


def saved(page: Page, button: Locator, folder: Path, *, by_key: bool = False) -> Path:
    """The file that a click (or the Enter key) on a button brings."""
    with page.expect_download() as found:
        if by_key:
            button.press("Enter")
        else:
            button.click()
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


def test_a_figure_is_saved_as_csv_png_svg_and_a_page_that_stands_alone(
    page: Page, browser: Browser, address: str, tmp_path: Path
) -> None:
    page.goto(f"{address}/Checkpoint?module=pooler.dense")
    verdict(page, "Usable with care")
    settled(page)
    matrix = bertlens.weight_matrix("minilm", "pooler.dense")
    figure = page.locator(f".st-key-figure_{NAME}").get_by_role("figure")
    expect(figure).to_have_attribute("aria-label", matrix.sentence)
    row = page.get_by_role("group", name=f"Downloads of the figure: {matrix.sentence}")
    csv, png, svg, html = (row.get_by_role("button", name=kind) for kind in ("CSV", "PNG", "SVG", "HTML"))
    csv.focus()
    for button in (png, svg, html):  # by keyboard, in the order in which they stand
        page.keyboard.press("Tab")
        expect(button).to_be_focused()

    table = saved(page, csv, tmp_path)
    assert table.name == f"{NAME}.csv"
    assert table.read_text("utf-8") == matrix.to_frame().to_csv(index=False)

    picture = saved(page, png, tmp_path, by_key=True)
    content = picture.read_bytes()
    drawn = page.locator(f".st-key-figure_{NAME} .js-plotly-plot").bounding_box()
    assert picture.name == f"{NAME}.png" and content.startswith(b"\x89PNG\r\n\x1a\n") and drawn is not None
    width, height = struct.unpack(">II", content[16:24])
    assert abs(width - 2 * drawn["width"]) <= 4 and abs(height - 2 * drawn["height"]) <= 4

    vector = saved(page, svg, tmp_path)
    root = ElementTree.parse(vector).getroot()
    assert vector.name == f"{NAME}.svg" and root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "singular value" in "".join(root.itertext())

    alone = saved(page, html, tmp_path)
    assert alone.name == f"{NAME}.html"
    opens_alone(browser, alone, matrix.sentence)


def opens_alone(browser: Browser, file: Path, sentence: str) -> None:
    context = browser.new_context(offline=True)
    reader = context.new_page()
    asked: list[str] = []
    reader.on("request", lambda request: asked.append(request.url))
    reader.goto(file.as_uri())
    expect(reader.locator(".js-plotly-plot .barlayer .point").first).to_be_attached()
    expect(reader.get_by_text(sentence)).to_be_visible()
    reader.wait_for_timeout(500)
    context.close()
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [file.as_uri()]
