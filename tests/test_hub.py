"""Fetching from the Hub, against a Hub on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from bertlens.errors import BertlensError
from bertlens.run.hub import PRESETS, fetch, is_hub_id
from tests.fake_hub import FakeHub, Repo, fake_hub

WEIGHTS = os.urandom(1_000_000)
# Each of its own content: the cache keeps equal files once, and asks for them once.
SMALL = {
    "config.json": b'{"model_type": "bert"}',
    "tokenizer.json": b'{"version": "1.0"}',
    "tokenizer_config.json": b'{"do_lower_case": true}',
    "vocab.txt": b"[PAD]\n[UNK]\n",
    "modules.json": b"[]",
    "1_Pooling/config.json": b'{"pooling_mode_mean_tokens": true}',
    "sentence_bert_config.json": b'{"max_seq_length": 128}',
    "config_sentence_transformers.json": b'{"prompts": {}}',
}
UNWANTED = {
    "README.md": b"#",
    "modeling_own.py": b"raise SystemExit",
    "pytorch_model.bin": b"pickle" * 5000,
    "tf_model.h5": b"h5",
    "flax_model.msgpack": b"flax",
    "onnx/model.onnx": b"onnx",
    "onnx/config.json": b"{}",
    "openvino/openvino_model.bin": b"ov",
    "openvino/openvino_model.xml": b"ov",
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as running:
        running.repos["own/tiny"] = Repo({**SMALL, **UNWANTED, "model.safetensors": WEIGHTS})
        # fetch() takes no endpoint, as no caller needs one: the client reads these at each call.
        point_client_at(monkeypatch, running.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        # Read from the environment when huggingface_hub is imported, where the other tests want it on.
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield running


def point_client_at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def leftovers(cache: str) -> list[str]:
    return [path.name for path in Path(cache).rglob("*.incomplete")]


class Cancelled(ValueError):
    """Of a type that the client raises too: it must come out as it is all the same."""


# What is downloaded


def test_brings_the_checkpoint_and_nothing_else(hub: FakeHub) -> None:
    folder = fetch("own/tiny")
    assert files(folder) == {*SMALL, "model.safetensors"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert sorted(hub.served()) == sorted(Path(n).name for n in [*SMALL, "model.safetensors"])


def test_pickle_only_without_safetensors(hub: FakeHub) -> None:
    hub.repos["own/old"] = Repo({**SMALL, **UNWANTED})
    assert files(fetch("own/old")) == {*SMALL, "pytorch_model.bin"}


@pytest.mark.parametrize(("stem", "suffix"), [("model", "safetensors"), ("pytorch_model", "bin")])
def test_shards_come_with_their_index(hub: FakeHub, stem: str, suffix: str) -> None:
    shards = {f"{stem}-0000{i}-of-00002.{suffix}": b"w" * i for i in (1, 2)} | {f"{stem}.{suffix}.index.json": b"{}"}
    hub.repos["own/sharded"] = Repo({**SMALL, **shards, "tf_model.h5": b"h5"})
    assert files(fetch("own/sharded")) == {*SMALL, *shards}


def test_missing_shard_is_no_set_of_weights(hub: FakeHub) -> None:
    part = {"model-00001-of-00002.safetensors": b"w", "model.safetensors.index.json": b"{}"}
    hub.repos["own/part"] = Repo({**SMALL, **part})
    with pytest.raises(BertlensError, match="safetensors files that are no complete set"):
        fetch("own/part")


def test_files_come_over_plain_http_and_settings_are_put_back(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    hub.pause = 0.03
    before, during = constants.DOWNLOAD_CHUNK_SIZE, set()
    fetch("own/tiny", progress=lambda done, *_: during.add((bool(done), constants.HF_HUB_DISABLE_XET)))
    assert (True, True) in during
    assert (False, before) == (constants.HF_HUB_DISABLE_XET, constants.DOWNLOAD_CHUNK_SIZE)


# Progress and cancel


def test_progress_rises_to_the_total(hub: FakeHub) -> None:
    hub.pause = 0.03
    seen: list[tuple[int, int, str]] = []
    threads = set()

    def progress(done: int, total: int, step: str) -> None:
        seen.append((done, total, step))
        threads.add(threading.current_thread())

    fetch("own/tiny", progress=progress)
    total = len(WEIGHTS) + sum(map(len, SMALL.values()))
    done = [d for d, _, _ in seen]
    assert done == sorted(done)
    assert seen[-1][:2] == (total, total)
    assert {t for _, t, _ in seen} <= {0, total}
    # Several steps on the way: bytes are told as they come, not file by file.
    assert len({d for d in done if 300 < d < total}) >= 2
    assert threads == {threading.current_thread()}


def test_second_fetch_counts_what_is_there(hub: FakeHub) -> None:
    folder = fetch("own/tiny")
    (folder / "model.safetensors").resolve().unlink()
    hub.pause = 0.03
    seen: list[int] = []
    fetch("own/tiny", progress=lambda done, total, step: seen.append(done) if total else None)
    assert seen[0] == sum(map(len, SMALL.values()))
    assert seen[-1] == seen[0] + len(WEIGHTS)


def test_cancel_stops_the_download(hub: FakeHub) -> None:
    hub.pause = 0.2  # six seconds in all
    asked: list[float] = []

    def progress(done: int, total: int, step: str) -> None:
        if done > 250_000:
            asked.append(time.monotonic())
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        fetch("own/tiny", progress=progress)
    assert len(asked) == 1
    assert time.monotonic() - asked[0] < 1.5
    until = time.monotonic() + 4
    while leftovers(constants.HF_HUB_CACHE) and time.monotonic() < until:
        time.sleep(0.05)
    assert leftovers(constants.HF_HUB_CACHE) == []
    with pytest.raises(BertlensError, match="no complete copy"):
        fetch("own/tiny", offline=True)
    hub.pause = 0
    assert (fetch("own/tiny") / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("step", ["looking up", "downloading"])
def test_cancel_while_no_byte_arrives(hub: FakeHub, step: str) -> None:
    start = time.monotonic()
    if step == "looking up":
        hub.mute.set()

    def progress(done: int, total: int, doing: str) -> None:
        if done > 0:
            hub.mute.set()
        if doing.startswith(step) and time.monotonic() - start > 0.6:
            raise Cancelled

    hub.pause = 0.05
    with pytest.raises(Cancelled):
        fetch("own/tiny", progress=progress)
    assert time.monotonic() - start < 2.5


# Cache and offline


def test_second_fetch_offline_asks_nothing(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch("own/tiny")
    hub.requests.clear()
    seen: list[tuple[int, int, str]] = []
    assert fetch("own/tiny", offline=True, progress=lambda *now: seen.append(now)) == first
    total = len(WEIGHTS) + sum(map(len, SMALL.values()))
    assert seen == [(total, total, "in the cache")]
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch("own/tiny") == first
    assert hub.requests == []


def test_commit_in_the_cache_asks_nothing(hub: FakeHub) -> None:
    first = fetch("own/tiny", revision="a" * 40)
    hub.requests.clear()
    assert fetch("own/tiny", revision="a" * 40) == first
    assert hub.requests == []


def test_a_new_commit_of_the_branch_is_seen(hub: FakeHub) -> None:
    fetch("own/tiny")
    hub.repos["own/tiny"] = Repo({**SMALL, "model.safetensors": b"new"}, sha="b" * 40)
    assert (fetch("own/tiny") / "model.safetensors").read_bytes() == b"new"


def test_copy_in_the_cache_serves_while_the_hub_is_away(hub: FakeHub) -> None:
    first = fetch("own/tiny")
    hub.status = 503
    steps: list[str] = []
    assert fetch("own/tiny", progress=lambda done, total, step: steps.append(step)) == first
    assert "cannot be reached" in steps[-1]


def test_what_transformers_has_put_into_the_cache_serves(hub: FakeHub) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        with pytest.raises(BertlensError, match="no complete copy"):
            fetch("own/tiny", offline=True)
        huggingface_hub.hf_hub_download("own/tiny", name)
    assert files(fetch("own/tiny", offline=True)) == {"config.json", "tokenizer.json", "model.safetensors"}


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_and_not_cached(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", how == "environment")
    with pytest.raises(BertlensError, match="network is off .*minilm") as caught:
        fetch("own/tiny", offline=how == "argument")
    assert ("HF_HUB_OFFLINE" in str(caught.value)) == (how == "environment")
    assert hub.requests == []


@pytest.mark.parametrize("damage", [b"cut", None])
def test_damaged_cache_is_not_taken_for_whole(hub: FakeHub, damage: bytes | None) -> None:
    weights = (fetch("own/tiny") / "model.safetensors").resolve()
    weights.unlink()
    if damage is not None:
        weights.write_bytes(damage)
    with pytest.raises(BertlensError, match="no complete copy"):
        fetch("own/tiny", offline=True)


# Failures


def test_is_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert all(map(is_hub_id, [*PRESETS, "bert-base-uncased", "a.b/c_d-1"]))
    for path in ("./a", "../a", "/a", "~/a", "a/b/c", r"a\b", "", "a b", "C:/a", ".", "a/"):
        assert not is_hub_id(path), path
    assert is_hub_id("own/model")
    (tmp_path / "own" / "model").mkdir(parents=True)
    assert not is_hub_id("own/model")


def test_needs_neither_torch_nor_transformers() -> None:
    code = "import sys, bertlens.run.hub; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
