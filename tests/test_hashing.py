"""A digest that was begun early is that of the files as they are when it is asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bertlens.run import hashing


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_begun_or_not_it_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    assert hashing.finish(tmp_path) == sha256(file)
    hashing.begin(tmp_path)
    hashing.begin(tmp_path)
    assert hashing.finish(tmp_path) == sha256(file)


def test_files_that_changed_since_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    hashing.begin(tmp_path)
    file.write_bytes(b"another")
    assert hashing.finish(tmp_path) == sha256(file)


def test_too_many_bytes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"one")
    monkeypatch.setattr(hashing, "MOST", 2)
    hashing.begin(tmp_path)
    assert hashing.finish(tmp_path) is None
