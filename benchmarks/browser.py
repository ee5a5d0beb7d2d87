"""How long a visitor waits, in Chromium: the first verdict, cold and warm, and a control that needs no new forward pass.

    python -m benchmarks.browser [--rounds 3]

Prints seconds above the floor: a page of plain Streamlit measured in the same run.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from tests.serving import FLAGS, serving

VERDICT = "[data-testid=stAlert]"


def until(browser: Browser, address: str, selector: str) -> tuple[float, Page]:
    """Seconds from opening an address until something is visible, in a fresh context."""
    page = browser.new_context().new_page()
    start = time.perf_counter()
    page.goto(address)
    page.locator(selector).first.wait_for(state="visible", timeout=120_000)
    return time.perf_counter() - start, page


def floor(browser: Browser) -> float:
    """Median seconds until a page of plain Streamlit shows a line, on a warm server."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "plain.py"
        script.write_text("import streamlit as st\nst.info('ready')\n")
        with serving(script) as address:
            times = [alone(browser, address) for _ in range(4)]
    return statistics.median(times[1:])


def alone(browser: Browser, address: str) -> float:
    """Seconds from opening an address until its verdict stands there. Left open it would go on looking for its server."""
    seconds, page = until(browser, address, VERDICT)
    page.context.close()
    return seconds


PICTURE = """
import plotly.graph_objects as go
import streamlit as st

measure = st.segmented_control("Measure", ["a", "b"], default="a")
st.plotly_chart(go.Figure(go.Scatter(y=[1, 2, 3] if measure == "a" else [3, 2, 1])).update_layout(yaxis_title=measure))
"""


def picture_floor(browser: Browser, rounds: int) -> float:
    """Median seconds until the picture of another choice stands on a page of plain Streamlit with nothing but that picture."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "plain.py"
        script.write_text(PICTURE)
        with serving(script) as address:
            page = until(browser, address, ".js-plotly-plot .ytitle")[1]
            for choice in ("b", "a") * (rounds + 1):
                quiet(page)
                times.append(drawn(page, choice, choice))
            page.context.close()
    return statistics.median(times[2:])


def drawn(page: Page, choice: str, title: str) -> float:
    """Seconds from a click on a choice until a picture has this title on its y axis."""
    control = page.get_by_role("radio", name=choice, exact=True).first.element_handle()
    start = time.perf_counter()
    control.evaluate("element => element.click()")
    page.locator(".js-plotly-plot .ytitle", has_text=re.compile(f"^{re.escape(title)}$")).first.wait_for(timeout=60_000)
    return time.perf_counter() - start


def switched(page: Page, rounds: int) -> float:
    """Median seconds from clicking a preset that was computed before until its verdict stands there."""
    times = []
    words = {"mask forgotten": "Different", "alone against the batch": "Rounding"}
    for _ in range(rounds + 1):
        for preset, word in words.items():
            pill = page.get_by_role("radio", name=preset, exact=True).or_(page.get_by_role("button", name=preset, exact=True))
            start = time.perf_counter()
            pill.first.evaluate("element => element.click()")
            page.locator(VERDICT).filter(has_text=word).first.wait_for(state="visible", timeout=60_000)
            times.append(time.perf_counter() - start)
            page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=60_000)
            page.wait_for_timeout(500)
    return statistics.median(times[2:])


def redrawn(page: Page, address: str, rounds: int) -> dict[str, float]:
    """Median seconds until the picture of another measure, pooling, state or token stands on the page Layers."""
    page.goto(f"{address}/Layers")
    page.get_by_role("heading", name="The same in Python").wait_for(timeout=120_000)
    quiet(page)
    times: dict[str, list[float]] = {"measure": [], "pooling": []}
    for _ in range(rounds + 1):
        for what, choices in (
            ("measure", {"Norm": "norm (L2)", "Step to this state": "step, over the length before"}),
            ("pooling", {"mean": "cosine of two texts, mean", "cls": "cosine of two texts, cls"}),
        ):
            for choice, title in choices.items():
                times[what].append(drawn(page, choice, title))
                quiet(page)
    return {what: statistics.median(values[2:]) for what, values in times.items()}


SENTENCES = [
    "The ferry leaves at seven.",
    "Nobody had told the gardener that the old wall was to come down before the winter, so he planted roses along it.",
    "Why?",
    "A violin was found under the floor of the attic, wrapped in newspaper from 1911.",
    "Prices rose by 3.2 % in March and fell again.",
    "She reads every contract twice, once for what it says and once for what it leaves out, and only then signs.",
    "Snow in May",
    "The committee meets on Thursdays; its minutes are kept in a green box in room 14.",
]


def diagnosed(browser: Browser, address: str, rounds: int) -> tuple[float, float]:
    """Median seconds until Home shows the first finding, and all of them with the report, for 8 texts that it has not seen."""
    first, whole = [], []
    for attempt in range(rounds):
        texts = [f"{sentence} {attempt}" for sentence in SENTENCES]
        start = time.perf_counter()
        took, page = until(browser, f"{address}/?{urlencode({'texts': chr(10).join(texts)})}", "text=See the evidence")
        first.append(took)
        page.get_by_role("heading", name="Send it to somebody").wait_for(timeout=120_000)
        page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=60_000)
        whole.append(time.perf_counter() - start)
        page.context.close()
    return statistics.median(first), statistics.median(whole)


def quiet(page: Page) -> None:
    """Wait until the page has stopped, what follows a control included, and is drawn."""
    page.wait_for_timeout(700)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=60_000)
    page.wait_for_timeout(1_200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        least, picture = floor(browser), picture_floor(browser, rounds)
        cold, warm, control = [], [], []
        for path in ("", "/Batch_and_padding"):
            with serving() as address:
                seconds, page = until(browser, address + path, VERDICT)
                cold.append(seconds)
                for _ in range(rounds):
                    quiet(page)  # what follows the verdict of one visitor is not the wait of the next
                    page.context.close()
                    seconds, page = until(browser, address + path, VERDICT)
                    warm.append(seconds - least)
                quiet(page)
                if path:
                    control.append(switched(page, rounds))
                    views = redrawn(page, address, rounds)
                page.context.close()
                if path:
                    diagnosis = diagnosed(browser, address, rounds)
        browser.close()
    print("| what | seconds | bound |")
    print("| --- | --- | --- |")
    print(f"| floor: a page of plain Streamlit | {least:.2f} | |")
    print(f"| first verdict, model warm, above the floor | {statistics.median(warm):.2f} | 3 |")
    print(f"| first verdict on a cold server | {max(cold):.2f} | 8 |")
    print(f"| a control that needs no new forward pass | {statistics.median(control):.2f} | 0.3 |")
    print(f"| another picture on a page of plain Streamlit with nothing else | {picture:.2f} | |")
    print(f"| Home, model warm, 8 new texts: the first finding, above the floor | {diagnosis[0] - least:.2f} | 2 |")
    print(f"| Home, model warm, 8 new texts: everything, the report included | {diagnosis[1]:.2f} | 20 |")
    for what, took in views.items():
        print(f"| another {what} on the page Layers | {took:.2f} | 0.3 |")


if __name__ == "__main__":
    main()
