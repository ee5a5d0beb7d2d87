"""Draw the pictures of the README from the real app: `python -m docs.screenshot`."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

from tests.serving import FLAGS, serving
from tests.test_browser import WAIT, settled, verdict

EXPRESSION = "torch.cat(hidden_states[-4:], dim=-1).mean(1)"
IMAGES = Path(__file__).parent / "images"


def main() -> None:
    """The first screen, a forgotten mask, the weights of the packaged checkpoint, a mean over padding, and layers."""
    with serving() as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        IMAGES.mkdir(exist_ok=True)
        page.goto(address)
        verdict(page, "Usable with care")
        settled(page)
        page.screenshot(path=IMAGES / "home.png")
        page.goto(f"{address}/Batch_and_padding?candidate=mask%3Doff")
        verdict(page, "Different")
        settled(page)
        page.screenshot(path=IMAGES / "batch-and-padding.png")
        page.locator(".st-key-figure_bertlens-differences").screenshot(path=IMAGES / "differences.png")
        page.goto(f"{address}/Checkpoint")
        verdict(page, "Usable with care")
        settled(page)
        page.get_by_role("heading", name="All weights").scroll_into_view_if_needed()
        page.mouse.move(700, 500)
        page.mouse.wheel(0, 700)
        page.wait_for_timeout(1500)
        page.screenshot(path=IMAGES / "checkpoint.png")
        page.set_viewport_size({"width": 1280, "height": 1250})
        page.goto(f"{address}/Shapes?{urlencode({'expr': EXPRESSION})}")
        verdict(page, "Faulty")
        settled(page)
        page.screenshot(path=IMAGES / "shapes.png")
        page.goto(f"{address}/Layers")
        page.get_by_role("heading", name="The same in Python").wait_for(timeout=WAIT)
        settled(page)
        page.get_by_role("heading", name="Why are all my cosines high?").scroll_into_view_if_needed()
        page.mouse.move(700, 500)
        page.mouse.wheel(0, 900)
        page.wait_for_timeout(1500)
        page.screenshot(path=IMAGES / "layers.png")
        browser.close()


if __name__ == "__main__":
    main()
