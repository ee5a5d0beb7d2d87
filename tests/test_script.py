"""The generated scripts need only torch and transformers, and print what bertlens prints, digit for digit."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModel

import bertlens
from bertlens.errors import BertlensError
from bertlens.read.readout import COMBINATIONS, POOLINGS
from bertlens.run.condition import COUNTS
from bertlens.run.texts import Texts, as_texts
from bertlens.show.runs import DOUBLE_BY_ITSELF
from tests.families import FAMILIES, build
from tests.scripts import (
    COUNTED,
    NASTY,
    PAIRS,
    TEXTS,
    VALUES,
    Load,
    assert_same,
    executed,
    expected,
    in_a_process,
    load,
    numbers,
    one_thread,
    shaped,
    written,
)

__all__ = ["load", "one_thread"]


@pytest.mark.parametrize("value", [*VALUES, *(f"{key}={n}" for key, ns in COUNTED.items() for n in ns), ""])
def test_a_value_of_a_key_prints_the_same_numbers(load: Load, value: str) -> None:
    assert_same(load, "minilm", TEXTS, "", value)


def test_every_key_that_counts_is_tried() -> None:
    assert set(COUNTED) == set(COUNTS)


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        ("batch=alone", "batch=whole"),
        ("side=left", "side=left,positions=from-mask"),
        ("padding=40,max_length=8", "padding=40,max_length=8,mask=off"),
        ("dropout=on", "dropout=on"),
        ("dropout=on,batch=alone,dtype=bfloat16", "mask=inverted,padding=30"),
        ("dtype=float64", "dtype=float64,batch=alone"),
        ("dtype=float64", "dtype=float16,attention=eager"),
        ("dtype=bfloat16", "dtype=bfloat16,batch=2,side=left"),
        ("rows=index,side=left", "rows=index,mask=off,segments=ones"),
        ("rows=index,batch=alone,positions=from-mask", "rows=index,mask=inverted,padding=16,side=left"),
        ("specials=off,batch=2,attention=eager", "specials=off,padding=20,attention=eager"),
        ("segments=zeros,max_length=5,padding=9,side=left", "max_length=5,batch=alone"),
        ("batch=alone,padding=24,max_length=6", "batch=1,padding=24,max_length=6,specials=doubled"),
        ("specials=doubled,side=left,padding=24,max_length=7", "specials=doubled,batch=2,mask=swapped"),
    ],
)
@pytest.mark.parametrize("readout", ["cls", "mean_content@last4:mean|l2"])
def test_keys_together_print_the_same_numbers(load: Load, reference: str, candidate: str, readout: str) -> None:
    assert_same(load, "minilm", TEXTS, reference, candidate, readout)


# --- readouts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("candidate", ["batch=alone", "side=left,mask=off", "rows=index,side=left,dtype=bfloat16"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_pooling_prints_the_same_numbers(load: Load, pooling: str, candidate: str) -> None:
    assert_same(load, "bert", TEXTS, "", candidate, pooling)


@pytest.mark.parametrize("readout", [f"mean@last4:{combine}|l2" for combine in COMBINATIONS])
@pytest.mark.parametrize("candidate", ["batch=alone", "mask=off"])
def test_a_combination_of_layers_prints_the_same_numbers(load: Load, readout: str, candidate: str) -> None:
    assert_same(load, "minilm", TEXTS, "", candidate, readout)


@pytest.mark.parametrize(
    "readout", ["cls@0", "mean@3", "max@-2|l2", "cls@last2:concat", "weightedmean@all:sum", "mean|l2", "pooler|l2"]
)
def test_layers_print_the_same_numbers(load: Load, readout: str) -> None:
    assert_same(load, "minilm", TEXTS, "batch=alone", "", readout)


def test_another_readout_prints_other_numbers(load: Load) -> None:
    checkpoint = load("minilm")
    comparison = bertlens.compare(checkpoint, TEXTS, reference="batch=alone", readout="mean")
    assert numbers(executed(written(checkpoint, TEXTS, "batch=alone", "", "mean"))) == expected(comparison)
    assert numbers(executed(written(checkpoint, TEXTS, "batch=alone", "", "max"))) != expected(comparison)


# --- families -------------------------------------------------------------------------------------------------------

SAMPLE = [
    ("batch=alone", "", "cls"),
    ("", "padding=40,mask=off", "mean@last2:concat"),
    ("batch=alone", "side=left", "lasttoken"),
    ("side=left,positions=from-mask", "side=left", "cls@-1"),
    ("", "dtype=bfloat16,batch=2", "mean_content|l2"),
    ("dtype=float64,attention=eager", "dtype=float64,batch=alone", "weightedmean"),
    ("attention=eager", "dropout=on", "mean@all:sum"),
    ("rows=index", "max_length=7,padding=12", "max@1"),
    ("", "mask=inverted,specials=off", "mean_sqrt_len_tokens"),
    ("segments=zeros", "segments=ones", "cls"),
    ("", "batch=2", "pooler"),
    ("specials=doubled", "specials=doubled,batch=2,max_length=12", "mean_content"),
    ("", "mask=swapped", "mean"),
]


KINDS: tuple[Texts, ...] = (TEXTS, PAIRS, (*PAIRS[:2], *TEXTS[:2]))
"""Texts, pairs, and both: each of them for a third of the sample, and each comparison with all three over the families."""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_prints_the_same_numbers(load: Load, family: str) -> None:
    ran = 0
    for at, (reference, candidate, readout) in enumerate(SAMPLE, list(FAMILIES).index(family)):
        texts = KINDS[at % len(KINDS)]
        try:
            assert_same(load, family, texts, reference, candidate, readout)
            ran += 1
        except BertlensError as error:  # segments, positions or a pooler that the family does not have
            assert re.search(r"cannot (run|read) ", str(error)), error
    assert ran >= len(SAMPLE) - 4


def test_families_that_are_double_by_themselves_never_ask_for_float32() -> None:
    package = importlib.util.find_spec("transformers")
    assert package is not None and package.submodule_search_locations

    def asks(kind: str) -> bool:
        kind = kind.replace("-", "_")
        source = Path(str(package.submodule_search_locations[0])) / "models" / kind / f"modeling_{kind}.py"  # type: ignore[index,union-attr]
        lines = source.read_text("utf-8").splitlines()
        return any(re.search(r"float32|\.float\(\)|rope_utils", line) and "loss" not in line for line in lines)

    assert [kind for kind in sorted(DOUBLE_BY_ITSELF) if asks(kind)] == []
    assert asks("modernbert") and asks("mpnet")


# --- texts and surroundings -----------------------------------------------------------------------------------------


def test_any_text_survives_the_script(load: Load) -> None:
    script = written(load("minilm"), as_texts(NASTY), "batch=alone", "")
    assert "\x00" not in script and "\u202e" not in script
    space: dict[str, Any] = {}
    exec(script[script.index("texts = [") : script.index("tokenizer =")], space)
    assert tuple(space["texts"]) == NASTY
    assert_same(load, "minilm", NASTY, "batch=alone", "")


@pytest.mark.parametrize(
    ("reference", "candidate", "readout"),
    [("batch=alone", "", "cls"), ("dropout=on,side=left", "rows=index,dtype=float16", "mean_content@last4:concat|l2")],
)
def test_a_process_of_its_own_prints_the_same_numbers(
    load: Load, tmp_path: Path, reference: str, candidate: str, readout: str
) -> None:
    comparison = bertlens.compare(load("minilm"), NASTY, reference=reference, candidate=candidate, readout=readout)
    script = written(load("minilm"), NASTY, reference, candidate, readout)
    assert numbers(in_a_process(script, tmp_path)) == expected(comparison)


def test_ruff_finds_nothing(load: Load, tmp_path: Path) -> None:
    for name in ("minilm", "modernbert", "mpnet"):
        for at, (reference, candidate, readout) in enumerate(SAMPLE):
            with contextlib.suppress(BertlensError):
                (tmp_path / f"{name}{at}.py").write_text(written(load(name), TEXTS, reference, candidate, readout), "utf-8")
        for condition in ("", "rows=index,batch=2,mask=off,positions=from-mask"):
            (tmp_path / f"{name}{condition[:4]}_shapes.py").write_text(shaped(load(name), TEXTS, condition), "utf-8")
    assert len(list(tmp_path.iterdir())) > 30
    ruff = ["ruff", "check", "--isolated", "--select", "E9,F,I", "--output-format=concise", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", *ruff], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_default_run_is_the_plain_idiom(load: Load) -> None:
    script = written(load("minilm"), TEXTS, "", "")
    assert (
        '    batch = tokenizer(texts, padding=True, truncation=True, max_length=512, return_tensors="pt")\n'
        "    out = model(**batch)\n"
        "    return out.last_hidden_state[:, 0]\n"
    ) in script
    assert "DoubleThroughout" not in script and "copy" not in script and "seed" not in script


def test_the_seed_is_passed_on(load: Load) -> None:
    comparison = bertlens.compare(load("minilm"), TEXTS, reference="dropout=on", candidate="dropout=on", seed=41)
    same, other = (executed(written(load("minilm"), TEXTS, "dropout=on", "dropout=on", seed=seed)) for seed in (41, 42))
    assert numbers(same) == expected(comparison) != numbers(other)


def test_a_device_is_used_for_the_runs_and_left_for_float64(load: Load) -> None:
    plain = written(load("minilm"), TEXTS, "batch=alone", "", device="cuda")
    assert 'model.to("cuda")' in plain and "model.cpu().double()" in plain and ".to(model.device)" in plain
    other = written(load("minilm"), TEXTS, "dtype=bfloat16", "", device="cuda")
    assert 'instance(torch.bfloat16, "cuda")' in other and 'instance(torch.float64, "cpu")' in other
    on_cpu = executed(other.replace('"cuda"', '"cpu"'))
    assert numbers(on_cpu) == expected(bertlens.compare(load("minilm"), TEXTS, reference="dtype=bfloat16", candidate=""))


def test_weights_that_are_not_in_the_file_are_drawn_once(tmp_path: Path) -> None:
    folder = build("bert", tmp_path / "bert")
    AutoModel.from_pretrained(folder, add_pooling_layer=False).save_pretrained(folder)
    checkpoint = bertlens.load(str(folder))
    assert checkpoint.report.newly_initialised
    _, verdict = numbers(executed(written(checkpoint, TEXTS, "", "dtype=bfloat16,batch=alone", "pooler")))
    assert verdict == "rounding"


def test_the_folder_of_a_sentence_transformers_checkpoint_is_found(tmp_path: Path) -> None:
    build("bert", tmp_path / "0_Transformer")
    (tmp_path / "modules.json").write_text('[{"path": "0_Transformer"}]')
    checkpoint = bertlens.load(str(tmp_path))
    comparison = bertlens.compare(checkpoint, TEXTS)
    assert numbers(executed(written(checkpoint, TEXTS, "batch=alone", ""))) == expected(comparison)


@pytest.mark.parametrize("sided", ["left", "right"])
def test_padding_and_truncation_kept_in_the_tokenizer_do_not_leak(tmp_path: Path, sided: str) -> None:
    from tokenizers import Tokenizer

    file = build("bert", tmp_path / "bert") / "tokenizer.json"
    raw = Tokenizer.from_file(str(file))
    raw.enable_padding(direction=sided, length=50, pad_to_multiple_of=8)
    raw.enable_truncation(4)
    raw.save(str(file))
    checkpoint = bertlens.load(str(file.parent))
    for candidate in ("batch=alone", "side=left", "padding=30,max_length=9"):
        comparison = bertlens.compare(checkpoint, TEXTS, reference="", candidate=candidate)
        assert numbers(executed(written(checkpoint, TEXTS, "", candidate))) == expected(comparison)


def test_texts_alone_need_no_padding_token(tmp_path: Path) -> None:
    checkpoint = bertlens.load(str(build("bert", tmp_path / "bert")))
    checkpoint.tokenizer.pad_token = None
    with pytest.raises(BertlensError, match="padding token"):
        bertlens.compare(checkpoint, TEXTS, reference="batch=alone", candidate="")
    with pytest.raises(BertlensError, match="padding token"):
        bertlens.compare(checkpoint, TEXTS[:1], reference="padding=20", candidate="")
    comparison = bertlens.compare(checkpoint, TEXTS, reference="batch=alone", candidate="batch=alone,mask=off")
    assert comparison.verdict == "identical"
    assert "padding=" not in written(checkpoint, TEXTS, "batch=alone", "batch=1,mask=off")


# --- shapes ---------------------------------------------------------------------------------------------------------
