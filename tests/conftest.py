"""Checkpoints that every test may read and none may change."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

import bertlens
from bertlens.run.checkpoint import Checkpoint
from tests.families import FAMILIES, build
from tests.serving import serving

# Models this small gain nothing from a second thread, and on a machine with other work the threads wait for each other
# at every one of their products: the suite then takes six times as long.
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that drive a browser come first: they take minutes, and at the end one worker would wait for the other's."""
    items.sort(key=lambda item: "browser" not in item.keywords)


def pytest_collection_finish() -> None:
    """What is loaded by now stays; collecting garbage need not look at it again."""
    gc.collect()
    gc.freeze()


Folder = Callable[..., Path]
Loaded = Callable[..., Checkpoint]


@pytest.fixture(scope="session", autouse=True)
def one_look_at_what_is_installed() -> Iterator[None]:
    """Streamlit reads the metadata of every installed package for every page that a test opens; here once for all."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="session")
def minilm() -> Checkpoint:
    """The packaged checkpoint."""
    return bertlens.load()


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The folder of a random checkpoint, built when a test first asks for it; never to be written to."""
    root = tmp_path_factory.mktemp("built")

    @cache
    def folder(family: str, **options: Any) -> Path:
        name = "-".join([family, *(f"{key}-{value}" for key, value in options.items())])
        return build(family, root / name, **options)

    return folder


@pytest.fixture(scope="session")
def loaded(family_folder: Folder) -> Loaded:
    """A family's random checkpoint in memory."""

    @cache
    def checkpoint(family: str, **options: Any) -> Checkpoint:
        return bertlens.load(str(family_folder(family, **options)))

    return checkpoint


@pytest.fixture(params=FAMILIES)
def checkpoint(request: pytest.FixtureRequest, loaded: Loaded) -> Checkpoint:
    """The checkpoint of each family in turn."""
    return loaded(request.param)


@pytest.fixture
def copy_of(tmp_path: Path) -> Folder:
    """Copies a folder into one that a test may spoil; `changes` go into its config.json."""

    def copy(folder: Path, **changes: Any) -> Path:
        twin = Path(shutil.copytree(folder, tmp_path / f"copy{len(list(tmp_path.iterdir()))}"))
        config = json.loads((twin / "config.json").read_text("utf-8"))
        assert all(config.get(key) != value for key, value in changes.items()), "a change that changes nothing"
        (twin / "config.json").write_text(json.dumps({**config, **changes}), "utf-8")
        return twin

    return copy


@pytest.fixture(scope="module")
def memory() -> Iterator[Callable[[], None]]:
    """What the pages remember: kept from test to test of a file, as on a server, and empty before and after the file.

    Calling it empties it, for a test that counts what is run or changes how it is run.
    """
    from streamlit import cache_resource  # the app's memory, and not needed by the tests of the core

    cache_resource.clear()
    yield cache_resource.clear
    cache_resource.clear()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a server of the app, started when a browser test first asks for it and shared by all that follow."""
    with serving() as found:
        yield found
