"""Every way in which a download can fail, each told in one sentence."""

from __future__ import annotations

import errno
import io
import os
import time
from pathlib import Path

import pytest
from huggingface_hub import constants

from bertlens.errors import BertlensError
from bertlens.run import hub as hub_module
from bertlens.run.hub import fetch
from tests.fake_hub import FakeHub, Repo
from tests.test_hub import SMALL, WEIGHTS, hub, leftovers, point_client_at

__all__ = ["hub"]


def test_connection_refused_is_told_at_once(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    point_client_at(monkeypatch, "http://127.0.0.1:9")  # the discard port, where nothing listens
    start = time.monotonic()
    with pytest.raises(BertlensError, match="cannot reach the Hub for own/tiny; got .*refused.*minilm"):
        fetch("own/tiny")
    assert time.monotonic() - start < 3


def test_name_that_does_not_resolve(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    point_client_at(monkeypatch, "http://hub.invalid")  # a top-level domain reserved for not existing
    monkeypatch.setattr(hub_module, "LOOK_UP_SECONDS", 2.0)
    start = time.monotonic()
    with pytest.raises(BertlensError, match="cannot reach the Hub"):
        fetch("own/tiny")
    assert time.monotonic() - start < 4


def test_hub_that_never_answers(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "LOOK_UP_SECONDS", 0.5)
    hub.mute.set()
    with pytest.raises(BertlensError, match="cannot reach the Hub.*nothing for"):
        fetch("own/tiny")


def test_download_that_falls_silent(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "SILENCE_SECONDS", 0.5)
    hub.pause = 0.05
    with pytest.raises(BertlensError, match="cannot finish the download.*nothing for"):
        fetch("own/tiny", progress=lambda done, total, step: hub.mute.set() if done else None)


def test_login_page_instead_of_the_hub(hub: FakeHub) -> None:
    hub.login_page = True
    with pytest.raises(BertlensError, match="cannot reach the Hub .*login page"):
        fetch("own/tiny")


def test_hub_out_of_order(hub: FakeHub) -> None:
    hub.status = 503
    with pytest.raises(BertlensError, match="cannot reach the Hub .*got status 503.*minilm"):
        fetch("own/tiny")


def test_unknown_id(hub: FakeHub) -> None:
    with pytest.raises(BertlensError, match="the Hub has no model own/none.*spelling.*minilm"):
        fetch("own/none")


def test_gated(hub: FakeHub) -> None:
    hub.repos["own/tiny"].gated = True
    with pytest.raises(BertlensError, match="token.*hf auth login"):
        fetch("own/tiny")


@pytest.mark.parametrize("status", [401, 403])
def test_refused(hub: FakeHub, status: int) -> None:
    hub.status = status
    with pytest.raises(BertlensError, match="hf auth login"):
        fetch("own/tiny")


def test_unknown_revision(hub: FakeHub) -> None:
    with pytest.raises(BertlensError, match="own/tiny has no revision 'v9'"):
        fetch("own/tiny", revision="v9")


@pytest.mark.parametrize("name", ["foo bar", "a/b/c", "", "a--b", "../x", "name/"])
def test_invalid_id(hub: FakeHub, name: str) -> None:
    with pytest.raises(BertlensError, match="is not a Hub id.*owner/name"):
        fetch(name)
    assert hub.requests == []


def test_only_other_formats(hub: FakeHub) -> None:
    hub.repos["own/other"] = Repo({**SMALL, "tf_model.h5": b"h5", "onnx/model.onnx": b"onnx"})
    with pytest.raises(BertlensError, match=r"no weights that can be loaded; got ONNX \(onnx/model.onnx\), TensorFlow"):
        fetch("own/other")
    assert hub.served() == []


def test_no_config(hub: FakeHub) -> None:
    hub.repos["own/data"] = Repo({"model.safetensors": b"w"})
    with pytest.raises(BertlensError, match="no config.json"):
        fetch("own/data")


def test_too_little_room_is_told_before_the_download(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 999_000}))
    with pytest.raises(BertlensError, match="no room on the disk.*got 1 MB free"):
        fetch("own/tiny")
    assert hub.served() == []


@pytest.mark.parametrize(("code", "words"), [(errno.ENOSPC, "disk of the cache is full"), (errno.EACCES, "HF_HOME")])
def test_disk_refuses(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    # A disk cannot be filled here, so the write of the file being downloaded fails as it would on a full one.
    class FullDisk(io.BufferedWriter):
        def write(self, data: object) -> int:
            raise OSError(code, os.strerror(code))

    real = Path.open

    def full(self: Path, mode: str = "r", *args: object, **kwargs: object) -> object:
        return FullDisk(io.FileIO(self, "w")) if self.suffix == ".incomplete" else real(self, mode, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(BertlensError, match=words):
        fetch("own/tiny")
    assert leftovers(constants.HF_HUB_CACHE) == []


def test_download_broken_off(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    real_sleep = time.sleep
    # The client waits a second before each of its attempts; with nothing at all arriving it gives up after the sixth.
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: real_sleep(min(seconds, 0.01)))
    hub.break_after = 1

    def progress(done: int, total: int, step: str) -> None:
        if done > 300_000:  # after some pieces: from now on the connection is refused before the first byte
            hub.status = 500

    hub.pause = 0.05
    with pytest.raises(BertlensError, match="cannot finish the download of own/tiny; got .*try again"):
        fetch("own/tiny", progress=progress)
    assert leftovers(constants.HF_HUB_CACHE) == []
    with pytest.raises(BertlensError, match="no complete copy"):
        fetch("own/tiny", offline=True)
    hub.break_after = hub.status = 0
    hub.requests.clear()
    assert (fetch("own/tiny") / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.served() == ["model.safetensors"]  # what was finished is not fetched again


def test_short_cuts_of_the_connection_are_bridged(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    real_sleep = time.sleep
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: real_sleep(min(seconds, 0.01)))
    hub.break_after = 400_000
    assert (fetch("own/tiny") / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.served().count("model.safetensors") >= 3


# Ids and the module
