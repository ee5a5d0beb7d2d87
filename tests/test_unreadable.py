"""Files that cannot be read: one clear sentence within seconds, nothing run, nothing of another place read."""

from __future__ import annotations

import json
import os
import pickle
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import bertlens
from bertlens.cli import main
from bertlens.errors import BertlensError
from tests.checkpoints import WEIGHTS, Folder, copied
from tests.conftest import Folder as Folders
from tests.test_checkpoints import healthy_shards

SECONDS = 10.0


@pytest.fixture
def folder(family_folder: Folders, tmp_path: Path) -> Folder:
    return copied(family_folder("bert"), tmp_path / "checkpoint")


def refused(path: Path) -> BertlensError:
    """The sentence, which must come in time."""
    start = time.monotonic()
    with pytest.raises(BertlensError) as caught:
        bertlens.check(str(path))
    assert time.monotonic() - start < SECONDS
    assert caught.value.sentence.count("\n") == 0
    assert len(caught.value.sentence) < 500
    return caught.value


@pytest.mark.parametrize("seed", range(12))
def test_weights_cut_off_anywhere(seed: int, folder: Folder) -> None:
    whole = (folder.path / WEIGHTS).read_bytes()
    (folder.path / WEIGHTS).write_bytes(whole[: random.Random(seed).randrange(len(whole) - 1)])
    assert "truncated or corrupted" in refused(folder.path).sentence


@pytest.mark.parametrize("seed", range(12))
def test_a_header_with_other_bytes(seed: int, folder: Folder) -> None:
    drawn = random.Random(seed)
    held = bytearray((folder.path / WEIGHTS).read_bytes())
    length = int.from_bytes(held[:8], "little")
    at = drawn.randrange(8, 8 + length - 40)
    held[at : at + 40] = drawn.randbytes(40)
    (folder.path / WEIGHTS).write_bytes(held)
    assert "truncated or corrupted" in refused(folder.path).sentence


@pytest.mark.parametrize("seed", range(6))
def test_values_with_other_bytes_are_found(seed: int, folder: Folder) -> None:
    """The header is whole, so the file opens; what the bytes became is no weight."""
    drawn = random.Random(seed)
    held = bytearray((folder.path / WEIGHTS).read_bytes())
    at = drawn.randrange(8 + int.from_bytes(held[:8], "little"), len(held) - 4096)
    held[at : at + 4096] = drawn.randbytes(4096)
    (folder.path / WEIGHTS).write_bytes(held)
    assert bertlens.check(str(folder.path)).findings[0].id == "conversion-incomplete"


def test_a_missing_shard(tmp_path: Path) -> None:
    from tests.checkpoints import sound

    folder = sound(tmp_path / "sharded")
    healthy_shards(folder)
    shard = sorted(folder.path.glob("*.safetensors"))[0]
    shard.unlink()
    assert shard.name in refused(folder.path).sentence


class Evil:
    """What a pickle must not be able to do."""

    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/bertlens-was-here",)


def test_a_pickle_with_code_is_not_run(folder: Folder, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    Evil.__reduce__ = lambda self: (os.system, (f"touch {marker}",))  # type: ignore[method-assign]
    tensors = load_file(folder.path / WEIGHTS)
    torch.save({**tensors, "more": Evil()}, folder.path / "pytorch_model.bin")
    folder.without(WEIGHTS)
    assert "a pickle with more than weights in it, which is not run" in refused(folder.path).sentence
    (folder.path / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    assert refused(folder.path)
    assert not marker.exists()


def no_config(folder: Folder) -> None:
    folder.without("config.json")


def adapter_alone(folder: Folder) -> None:
    folder.without("config.json", WEIGHTS).document("adapter_config.json", peft_type="LORA")


def no_weights(folder: Folder) -> None:
    folder.without(WEIGHTS)


def other_weights(folder: Folder) -> None:
    (folder.path / WEIGHTS).rename(folder.path / "tf_model.h5")


def no_vocabulary(folder: Folder) -> None:
    held = json.loads((folder.path / "tokenizer.json").read_text("utf-8"))
    held["model"]["vocab"] = {}
    (folder.path / "tokenizer.json").write_text(json.dumps(held), "utf-8")


def broken_json(folder: Folder) -> None:
    (folder.path / "config.json").write_text('{"model_type": "bert", ', "utf-8")


def shard_elsewhere(folder: Folder) -> None:
    folder.without(WEIGHTS)
    index = {"weight_map": {"a": "../../etc/passwd"}}
    (folder.path / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


def link_out(folder: Folder) -> None:
    outside = folder.path.parent / "outside.safetensors"
    (folder.path / WEIGHTS).rename(outside)
    (folder.path / WEIGHTS).symlink_to(outside)


def link_of_a_document_out(folder: Folder) -> None:
    outside = folder.path.parent / "outside.json"
    (folder.path / "tokenizer_config.json").rename(outside)
    (folder.path / "tokenizer_config.json").symlink_to(outside)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_config, "it is not a checkpoint"),
        (adapter_alone, "an adapter without its base model"),
        (no_weights, "no weight file"),
        (other_weights, "tf_model.h5"),
        (broken_json, "broken JSON"),
        (no_vocabulary, "a vocabulary of 5 tokens"),
        (shard_elsewhere, "a shard in another folder"),
        (link_out, "leads out of the checkpoint"),
        (link_of_a_document_out, "leads out of the checkpoint"),
    ],
)
def test_one_sentence(spoil: Callable[[Folder], None], said: str, folder: Folder) -> None:
    assert not bertlens.check(str(folder.path)).findings[:1] or bertlens.check(str(folder.path)).verdict == "sound"
    spoil(folder)
    assert said in refused(folder.path).sentence


def test_a_link_inside_a_download_cache_is_followed(folder: Folder, tmp_path: Path) -> None:
    repository = tmp_path / "models--a--b"
    snapshot, blobs = repository / "snapshots" / "c0ffee", repository / "blobs"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for at, path in enumerate(sorted(folder.path.iterdir())):
        path.rename(blobs / str(at))
        (snapshot / path.name).symlink_to(blobs / str(at))
    assert bertlens.check(str(snapshot)).verdict == "sound"


def test_a_hundred_gigabytes_of_something_else(tmp_path: Path, folder: Folder) -> None:
    heap = tmp_path / "heap"
    heap.mkdir()
    with (heap / "film.mkv").open("wb") as file:
        file.truncate(100 * 2**30)  # sparse: it takes no space
    assert "it is not a checkpoint" in refused(heap).sentence
    with (folder.path / WEIGHTS).open("wb") as file:
        file.truncate(100 * 2**30)
    assert "truncated or corrupted" in refused(folder.path).sentence


def test_a_hundred_gigabytes_of_another_model_s_weights(folder: Folder) -> None:
    """A header that is whole, before a tensor of 100 GB that no BERT asks for: it is named, not read."""
    size = 100 * 2**30
    header = json.dumps({"blob": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    with (folder.path / WEIGHTS).open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    start = time.monotonic()
    try:
        assert bertlens.check(str(folder.path)).findings[0].id == "weights-not-loaded"
    except BertlensError as error:  # a machine that maps no more than its memory
        assert "more than fits here" in error.sentence
    assert time.monotonic() - start < SECONDS


def test_the_command_says_it_in_one_line(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    no_weights(folder)
    assert main(["check", str(folder.path)]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert said.err.count("\n") == 1


def test_a_server_keeps_to_its_folders(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLENS_ROOTS", os.pathsep.join([str(tmp_path), "/nowhere"]))
    assert bertlens.check(str(folder.path)).verdict == "sound"
    monkeypatch.setenv("BERTLENS_ROOTS", str(tmp_path / "other"))
    assert "outside of those that are allowed" in refused(folder.path).sentence
    link = tmp_path / "other" / "link"
    link.parent.mkdir()
    link.symlink_to(folder.path)
    assert "outside of those that are allowed" in refused(link).sentence
