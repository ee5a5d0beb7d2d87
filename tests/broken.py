"""Ways to spoil the tokenizer files of a copied checkpoint, for tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bertlens.judge.findings import Finding
from bertlens.run.dossier import Dossier, compile_


def opened(folder: Path) -> Dossier:
    """The dossier of a folder."""
    return compile_(str(folder))


def edit(folder: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Change a JSON file of a folder in place; `change` works on the object it is given."""
    file = folder / name
    document = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    before = json.dumps(document)
    change(document)
    assert json.dumps(document) != before, "a change that changes nothing"
    file.write_text(json.dumps(document), "utf-8")
    return folder


def state(folder: Path, name: str, **values: Any) -> Path:
    """Set entries of a JSON file."""
    return edit(folder, name, lambda document: document.update(values))


def lines(folder: Path) -> list[str]:
    """The lines of vocab.txt."""
    return (folder / "vocab.txt").read_text("utf-8").split("\n")[:-1]


def write_lines(folder: Path, entries: Iterable[str]) -> Path:
    """Write vocab.txt."""
    (folder / "vocab.txt").write_text("".join(f"{entry}\n" for entry in entries), "utf-8")
    return folder


def without(folder: Path, *names: str) -> Path:
    """Remove files."""
    for name in names:
        (folder / name).unlink()
    return folder


def severities(findings: Iterable[Finding]) -> dict[str, str]:
    """{id: severity}, with the gravest where one id stands twice."""
    order = ("problem", "caution", "note")
    found: dict[str, str] = {}
    for finding in findings:
        found[finding.id] = min(found.get(finding.id, "note"), finding.severity, key=order.index)
    return found


def one(findings: Iterable[Finding], fault: str) -> Finding:
    """The only finding of an id."""
    (found,) = [finding for finding in findings if finding.id == fault]
    return found
