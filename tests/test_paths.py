"""Three people with nothing but a symptom: each finds its name and the mended code within five clicks, in Chromium."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import bertlens
from bertlens.run.checkpoint import Checkpoint
from tests.checkpoints import dropped, sound
from tests.test_browser import TEXTS, address, browser, page, settled, verdict

__all__ = ["address", "browser", "page"]

pytestmark = pytest.mark.browser


def pasted(page: Page) -> None:
    box = page.get_by_role("textbox", name="Texts, one per line")
    box.fill(TEXTS)
    box.press("Control+Enter")
    page.wait_for_url("**texts=**")


def shown(page: Page, words: str) -> None:
    expect(page.get_by_text(words).first).to_be_visible()


def test_my_cls_vectors_change_when_i_batch(page: Page, address: str) -> None:
    page.goto(address)
    pasted(page)
    page.get_by_text("cls", exact=True).first.click()  # 1: how the vectors are read
    page.wait_for_url("**read=cls**")
    page.get_by_role("link", name="Mask forgotten").click()  # 2
    verdict(page, "Different")
    shown(page, "attention-mask-missing")
    shown(page, "model(**batch)")
    settled(page)


def test_my_vectors_change_when_i_reload(page: Page, address: str, tmp_path: Path) -> None:
    folder = sound(tmp_path / "mine").weights(dropped("pooler")).without("modules.json", "1_Pooling").path
    page.goto(address)
    verdict(page, "Usable with care")
    settled(page)
    box = page.get_by_role("combobox", name="Checkpoint")
    box.click()  # 1
    box.fill(str(folder))
    box.press("Enter")
    shown(page, "pooler-missing")
    shown(page, "vectors = outputs.last_hidden_state[:, 0]")
    settled(page)
    page.get_by_role("link", name="See the evidence: Checkpoint").first.click()  # 2
    expect(page.get_by_role("heading", name="Checkpoint")).to_be_visible()
    shown(page, "pooler-missing")
    settled(page)


def test_my_vectors_do_not_match_those_that_i_was_given(page: Page, address: str, tmp_path: Path, minilm: Checkpoint) -> None:
    checkpoint, texts = minilm, TEXTS.split("\n")
    given = bertlens.pool(checkpoint, texts, ["mean_all|l2"], condition="batch=whole,mask=off").vectors["mean_all|l2"]
    np.save(tmp_path / "given.npy", given)
    page.goto(address)
    pasted(page)
    settled(page)
    page.get_by_text("You have vectors from elsewhere").click()  # 1
    page.locator("input[type=file]").last.set_input_files(tmp_path / "given.npy")  # 2
    verdict(page, "Faulty")
    shown(page, "attention-mask-missing")
    shown(page, "model(**batch)")
    settled(page)
