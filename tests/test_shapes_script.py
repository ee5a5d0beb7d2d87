"""The script of shapes and rows prints what bertlens says of them."""

from __future__ import annotations

import pytest

import bertlens
from bertlens.run.condition import Condition
from tests.scripts import TEXTS, Load, executed, load, one_thread, shaped

__all__ = ["load", "one_thread"]


READ = ("last_hidden_state", "outputs[0][0]", "outputs[0][:, 0]")


@pytest.mark.parametrize("condition", ["", "batch=alone,padding=32", "batch=2,rows=index,mask=off", "dtype=float64,side=left"])
@pytest.mark.parametrize("name", ["minilm", "distilbert", "modernbert", "mpnet", "roberta"])
def test_shapes_and_accesses_are_those_of_bertlens(load: Load, name: str, condition: str) -> None:
    checkpoint = load(name)
    printed = executed(shaped(checkpoint, TEXTS, condition)).splitlines()
    tensors = bertlens.shapes(checkpoint, TEXTS, condition=condition)
    lines = [f"{one.direction}  {one.name}  {one.axes}  {one.shape}  torch.{one.dtype}" for one in tensors]
    assert sorted(printed[: len(lines)]) == sorted(lines)
    from bertlens.read.access import accesses
    from bertlens.run.inputs import prepare

    found = accesses(prepare(checkpoint, TEXTS, Condition.parse(condition)), 0)
    written = [
        f"{one.code}  {one.ids}  "
        + (one.refusal or "{}  outputs[0][0] {}  outputs[0][:, 0] {}".format(*map(one.stages.get, READ)))
        for one in found
    ]
    assert printed[len(lines) : len(lines) + len(found)] == written
    assert any("Error" in line for line in printed) == any(one.refusal for one in found)


def test_the_script_finds_the_same_rows_equal(load: Load) -> None:
    checkpoint = load("bert")
    printed = executed(shaped(checkpoint, TEXTS, "padding=40")).splitlines()
    found = bertlens.index_or_slice(checkpoint, TEXTS, padding=40)
    said = {line.split("  equal ")[0]: line.split("  equal ")[1] for line in printed if "  equal " in line}
    for way, comparison in (("slice", found.by_slice), ("index", found.by_index)):
        for row in comparison.rows[:3]:
            assert said[f"row {row.text} by {way}, row {row.text} of the batch"] == f"{row.equal}  max abs {row.max_abs:.1e}"
    assert said["row 1 by index, row 0 by index"] == "True  max abs 0.0e+00"
