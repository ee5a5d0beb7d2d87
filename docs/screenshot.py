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
    """A forgotten mask, the map of the packaged checkpoint's weights, a mean over padding, the layers and the poolings."""
    with serving() as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(f"{address}/Batch_and_padding?candidate=mask%3Doff")
        verdict(page, "Different")
        settled(page)
        IMAGES.mkdir(exist_ok=True)
        page.screenshot(path=IMAGES / "batch-and-padding.png")
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
        for path, heading, name in (
            ("Layers", "Why are all my cosines high?", "layers"),
            ("Pooling", "The padding trap", "pooling"),
        ):
            page.goto(f"{address}/{path}")
            page.get_by_role("heading", name="The same in Python").wait_for(timeout=WAIT)
            settled(page)
            page.get_by_role("heading", name=heading).scroll_into_view_if_needed()
            page.mouse.move(700, 500)
            page.mouse.wheel(0, 900)
            page.wait_for_timeout(1500)
            page.screenshot(path=IMAGES / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
