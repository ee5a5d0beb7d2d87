"""The notation of conditions."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertlens.errors import BertlensError
from bertlens.run.condition import CHOICES, COUNTS, MEANING, Condition

VALUES = {
    key: st.one_of(st.sampled_from(words), st.integers(1, 10_000_000)) if key in COUNTS else st.sampled_from(words)
    for key, words in CHOICES.items()
}
CONDITIONS = st.fixed_dictionaries(VALUES)


def test_the_tables_know_the_same_keys() -> None:
    assert list(CHOICES) == list(MEANING) == [field.name for field in dataclasses.fields(Condition)]
    assert {field.name: field.default for field in dataclasses.fields(Condition)} == {k: v[0] for k, v in CHOICES.items()}


@given(CONDITIONS)
def test_notation_comes_back(values: dict[str, str | int]) -> None:
    condition = Condition(**values)  # type: ignore[arg-type]
    assert condition.to_dict() == values
    assert Condition.parse(str(condition)) == condition
    assert Condition.parse(values) == condition
    assert Condition.parse(condition) is condition
    written = ", ".join(f" {key} = {value}" for key, value in values.items())
    assert Condition.parse(written) == condition


@given(CONDITIONS, CONDITIONS)
def test_only_what_differs_is_written_and_named(left: dict[str, str | int], right: dict[str, str | int]) -> None:
    a, b = Condition(**left), Condition(**right)  # type: ignore[arg-type]
    differing = a.differing(b)
    assert differing == b.differing(a) == tuple(key for key in CHOICES if left[key] != right[key])
    assert a.replace(**{key: right[key] for key in differing}) == b
    assert str(a).count("=") == len(a.differing(Condition()))


def test_default() -> None:
    assert Condition.parse("") == Condition.parse(" , ") == Condition.parse({}) == Condition()
    assert str(Condition()) == ""
    assert Condition().words == "default"
    assert Condition.parse("mask=off,batch=2").words == "batch=2, mask=off"


def test_equal_conditions_are_one_key() -> None:
    assert {Condition(padding="256"), Condition(padding=256), Condition.parse("padding= 256")} == {Condition(padding=256)}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("mask", "got 'mask'; expected key=value"),
        ("=off", "the key ''"),
        ("maks=off", "got the key 'maks'; expected one of batch, .*did you mean 'mask'"),
        ("Mask=off", "got the key 'Mask'.*did you mean 'mask'"),
        ("zzz=1", "got the key 'zzz'.*name one of these keys"),
        ("mask=off,mask=on", "got 'mask' twice"),
        ("mask=maybe", "cannot set mask; got 'maybe'; expected on / off / inverted"),
        ("mask=", "cannot set mask; got ''"),
        ("padding=0", "cannot set padding; got '0'; expected longest or a number of tokens"),
        ("padding=-1", "got '-1'"),
        ("padding=1.5", "got '1.5'"),
        ("padding=²", "got '²'"),
        ("padding=٣", "got '٣'"),
        ("padding=99999999999999999999", "cannot set padding"),
        ("batch=none", "expected whole / alone or a number of rows"),
        ("side=256", "cannot set side; got '256'; expected right / left;"),
        ("mask=a=b", "cannot set mask; got 'a=b'"),
        ("x" * 500, "cannot read the condition 'x+…'"),
    ],
)
def test_unreadable_conditions(wrong: str, message: str) -> None:
    with pytest.raises(BertlensError, match=message) as caught:
        Condition.parse(wrong)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith((".", "?"))


@pytest.mark.parametrize("value", [True, None, 1.0, ["on"]])
def test_values_of_other_types_are_refused(value: object) -> None:
    with pytest.raises(BertlensError, match="cannot set batch"):
        Condition(batch=value)  # type: ignore[arg-type]
