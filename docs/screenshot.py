"""Draw the picture of the README from the real app: `python -m docs.screenshot`."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.serving import FLAGS, serving
from tests.test_browser import settled, verdict

TARGET = Path(__file__).parent / "images" / "batch-and-padding.png"


def main() -> None:
    """Open the view of a forgotten mask and save its first screen."""
    with serving() as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(f"{address}/Batch_and_padding?candidate=mask%3Doff")
        verdict(page, "Different")
        settled(page)
        TARGET.parent.mkdir(exist_ok=True)
        page.screenshot(path=TARGET)
        browser.close()


if __name__ == "__main__":
    main()
