"""The page Checkpoint says what the core says, for a sound checkpoint and for a broken one, and runs nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import bertlens
from bertlens.show import checkpoint as pictures
from tests.checkpoints import Folder, drawn, dropped, prefixed, sound
from tests.test_pages import alerts, offline, opened

__all__ = ["offline"]

PAGE = "pages/3_Checkpoint.py"


def text_of(app: AppTest) -> str:
    return "\n".join(block.value for block in (*app.markdown, *app.caption))


def test_the_packaged_checkpoint() -> None:
    app = opened(PAGE)
    assert not app.exception
    found = bertlens.check("minilm")
    assert app.warning[0].value.startswith("**Usable with care**")
    assert "pooler-untrained" in text_of(app)
    assert "Newly drawn" in text_of(app)
    assert app.selectbox(key="edit_module").value == "pooler.dense"
    frames = [table.value for table in app.dataframe]
    assert any(
        list(frame.columns) == ["output", "trust", "because of"] and len(frame) == len(found.outputs) for frame in frames
    )
    codes = [code.value for code in app.code]
    assert any("bertlens repair minilm --finding pooler-untrained --out mended" in code for code in codes)
    assert any("del state[key]" in code for code in codes)  # the same as Python


def test_a_checkpoint_without_pooler_is_loaded_twice_as_proof(tmp_path: Path) -> None:
    folder = sound(tmp_path / "checkpoint").weights(dropped("pooler")).without("modules.json")
    app = opened(PAGE, checkpoint=str(folder.path))
    assert not app.exception
    assert app.error[0].value.startswith("**Faulty**")
    said = text_of(app)
    assert "Two loads, the same texts" in said
    frame: Any = next(
        table.value for table in app.dataframe if "max_abs" in table.value.columns and "equal" in table.value.columns
    )
    by_output: Any = frame.set_index("output")
    assert by_output.loc["last_hidden_state[:, 0]", "equal"] and by_output.loc["last_hidden_state", "max_abs"] == 0
    assert not by_output.loc["pooler_output", "equal"] and by_output.loc["pooler_output", "max_abs"] > 0.01


@pytest.mark.parametrize("module", ["encoder.layer.2.output.dense", "embeddings.word_embeddings"])
def test_a_link_names_a_weight(module: str) -> None:
    app = opened(PAGE, module=module)
    assert app.selectbox(key="edit_module").value == module
    assert "Trained" in text_of(app)


def test_a_weight_that_is_not_there_is_said_and_another_one_shown() -> None:
    app = opened(PAGE, module="encoder.layer.99.output.dense")
    assert not app.exception
    assert "no such weight" in text_of(app)


def test_nothing_loaded_still_gives_a_page(tmp_path: Path) -> None:
    folder = sound(tmp_path / "checkpoint").weights(prefixed("module."))
    app = opened(PAGE, checkpoint=str(folder.path))
    assert not app.exception
    assert app.error[0].value.startswith("**Faulty**")
    assert "wrapper" in text_of(app)


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    folder = sound(tmp_path / "checkpoint").without("model.safetensors")
    app = opened(PAGE, checkpoint=str(folder.path))
    assert not app.exception
    assert any("no weight file" in alert for alert in alerts(app))


@pytest.mark.parametrize("broken", [False, True])
def test_the_map_shows_every_module_once(broken: bool, tmp_path: Path) -> None:
    folder = sound(tmp_path / "checkpoint")
    if broken:
        folder.weights(drawn("encoder.layer.5."))
    found = bertlens.check(str(folder.path))
    figure = pictures.weight_map(found)
    shown = [point[0] for trace in figure.data for point in trace.customdata]
    assert sorted(shown) == sorted(module.name for module in found.modules)
    names = [trace.name for trace in figure.data]
    assert any(name.startswith("newly drawn") for name in names) == broken


def test_the_spectrum_s_numbers_are_those_of_numpy(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.torch import load_file

    folder: Folder = sound(tmp_path / "checkpoint")
    matrix = bertlens.weight_matrix(str(folder.path), "encoder.layer.0.intermediate.dense")
    weight = load_file(folder.path / "model.safetensors")["encoder.layer.0.intermediate.dense.weight"].double().numpy()
    assert np.allclose(matrix.spectrum.singular_values, np.linalg.svd(weight, compute_uv=False), rtol=1e-5)
    edge = np.sqrt((weight**2).mean()) * (np.sqrt(384) + np.sqrt(1536))
    assert np.isclose(matrix.edge_ratio, np.linalg.norm(weight, 2) / edge, rtol=1e-5)
    assert pictures.spectrum(matrix).data[0].y.sum() > 0
