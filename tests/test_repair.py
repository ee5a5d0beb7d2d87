"""Repairs: a sound checkpoint is broken, repaired, checked again and compared with what it was; nothing else is touched."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

from bertlens.diagnose import check
from bertlens.errors import BertlensError
from bertlens.judge.findings import catalogue
from bertlens.remedies.registry import BY_HAND, REMEDIES
from bertlens.remedies.repair import repair, repairable
from bertlens.remedies.work import Work
from bertlens.run import tensorfile
from bertlens.run.loading import quiet
from bertlens.run.tensorfile import Planned
from tests import mishaps
from tests.conftest import Folder
from tests.mishaps import MISHAPS, Mishap, document, edit

TEXTS = ["Paris is the capital of France.", "A longer text, of which more than one word is in no vocabulary: zeitgeist, naïve."]
ROTARY_OR_COUNTED = ("roberta", "modernbert")
"""Families in which padding on the left moves no position."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint that is broken; its premise is that nothing is wrong with it."""
    folder = mishaps.twig(tmp_path_factory.mktemp("sound") / "twig")
    assert [finding.id for finding in check(str(folder)).findings if finding.severity != "note"] == []
    return folder


def spoil(case: Mishap, sound: Path, folder: Path) -> Path:
    """A copy of the sound checkpoint with one fault."""
    shutil.copytree(sound, folder)
    state = case.break_(folder, mishaps.read(folder))
    if state is not None:
        mishaps.write(folder, state)
    return folder


def outputs(folder: Path) -> list[torch.Tensor]:
    """What `AutoModel` and `AutoTokenizer` make of the texts, in float32; zeros at padding."""
    with quiet(), torch.inference_mode():
        model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
        found = model(**batch)
    states = found.last_hidden_state * batch["attention_mask"].unsqueeze(-1)
    return [states, *([found.pooler_output] if "pooler_output" in found else [])]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def run(code: str) -> None:
    exec(compile(code, "mended.py", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("case", MISHAPS, ids=lambda case: f"{case.finding}{case.break_.__name__}")
def test_a_fault_is_gone_and_the_vectors_are_back(case: Mishap, sound: Path, tmp_path: Path) -> None:
    folder = spoil(case, sound, tmp_path / "broken")
    untouched = digests(folder), digests(sound)
    done = repair(str(folder), case.finding, tmp_path / "mended", str(sound) if case.base else None)
    assert done.fixed and done.added == case.added and done.done, done.sentence
    assert (digests(folder), digests(sound)) == untouched
    expected = outputs(folder if case.equal == "half" else sound)
    for got, values in zip(outputs(tmp_path / "mended"), expected, strict=True):
        if case.equal == "rounding":
            assert (got - values).abs().max() < 1e-5
        else:
            assert torch.equal(got, values)
    run(done.code.replace(str(tmp_path / "mended"), str(tmp_path / "by hand")))
    assert digests(tmp_path / "by hand") == digests(tmp_path / "mended")
    assert done.to_dict()["schema"] == "bertlens.repair/1" and sorted(digests(tmp_path / "mended")) == list(done.files)


@pytest.mark.parametrize("family", ["distilbert", "roberta", "albert", "modernbert"])
def test_every_family_keeps_its_vectors(family: str, family_folder: Folder, copy_of: Folder, tmp_path: Path) -> None:
    folder = copy_of(family_folder(family))
    mishaps.write(folder, {f"module.{key}": value for key, value in mishaps.read(folder).items()})
    edit(folder, "tokenizer_config.json", padding_side="left")
    first = repair(str(folder), "wrapper-prefix", tmp_path / "named")
    padded = next(f.id for f in first.after.findings if f.id in ("left-padding-positions", "cls-read-at-padding"))
    assert padded == ("cls-read-at-padding" if family in ROTARY_OR_COUNTED else "left-padding-positions")
    assert repair(str(tmp_path / "named"), padded, tmp_path / "padded").fixed
    for got, values in zip(outputs(tmp_path / "padded"), outputs(family_folder(family)), strict=True):
        assert torch.equal(got, values)


def test_capitals_are_kept_for_a_vocabulary_that_has_them(family_folder: Folder, copy_of: Folder, tmp_path: Path) -> None:
    sound = family_folder("bert-cased")
    folder = copy_of(sound)
    edit(folder, "tokenizer_config.json", do_lower_case=True)
    edit(folder, "tokenizer.json", normalizer={**document(folder, "tokenizer.json")["normalizer"], "lowercase": True})
    cut = [AutoTokenizer.from_pretrained(one)(TEXTS)["input_ids"] for one in (sound, folder)]
    assert cut[0] != cut[1]
    assert repair(str(folder), "lowercased-cased-model", tmp_path / "out").fixed
    assert AutoTokenizer.from_pretrained(tmp_path / "out")(TEXTS)["input_ids"] == cut[0]


def test_a_dead_pooler_is_removed_and_what_follows_is_said(sound: Path, tmp_path: Path) -> None:
    case = next(case for case in MISHAPS if case.finding == "pooler-untrained")
    dead = spoil(case, sound, tmp_path / "dead")
    done = repair(str(dead), "pooler-untrained", tmp_path / "out")
    assert done.fixed and done.added == ("pooler-missing",)
    assert "pooler-missing" in done.sentence and "add_pooling_layer=False" in done.done[0]
    assert not any("pooler" in key for key in mishaps.read(tmp_path / "out"))
    with pytest.raises(BertlensError, match="no better .newly drawn"):
        repair(str(dead), "pooler-untrained", tmp_path / "from dead", str(dead))
    edit(dead, "config.json", architectures=["BertForSequenceClassification"])
    state = {f"bert.{key}": value for key, value in mishaps.read(dead).items()}
    mishaps.write(dead, state | {"classifier.weight": mishaps.drawn(2, 384), "classifier.bias": torch.ones(2)})
    with pytest.raises(BertlensError, match="a head whose logits"):
        repair(str(dead), "pooler-untrained", tmp_path / "read by a head", str(sound))


def test_a_pickle_of_nested_and_shared_tensors_becomes_safetensors(sound: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sound, tmp_path / "pickled"))
    state = {f"bert.{key}": value for key, value in mishaps.read(folder).items()}
    state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
    (folder / "model.safetensors").unlink()
    torch.save({"state_dict": state, "epoch": 3}, folder / "pytorch_model.bin")
    edit(folder, "config.json", architectures=["BertForMaskedLM"])
    done = repair(str(folder), "weights-not-loaded", tmp_path / "out")
    assert done.fixed and "pytorch_model.bin" not in done.files and "model.safetensors" in done.files
    assert all(torch.equal(*pair) for pair in zip(outputs(tmp_path / "out"), outputs(sound), strict=True))
    run(done.code.replace(str(tmp_path / "out"), str(tmp_path / "by hand")))
    assert digests(tmp_path / "by hand") == digests(tmp_path / "out")


def test_shards_become_one_file_and_the_folder_of_a_recipe_keeps_its_shape(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recipe"
    inner = Path(shutil.copytree(sound, folder / "0_Transformer"))
    for name in ("1_Pooling", "modules.json"):
        (inner / name).rename(folder / name)
    parts = document(folder, "modules.json")
    (folder / "modules.json").write_text(json.dumps([{**parts[0], "path": "0_Transformer"}, *parts[1:]]), "utf-8")
    state = {f"module.{key}": value for key, value in mishaps.read(inner).items()}
    shard_of = {key: f"model-{number % 2}.safetensors" for number, key in enumerate(sorted(state))}
    for shard in set(shard_of.values()):
        save_file({key: state[key] for key, file in shard_of.items() if file == shard}, inner / shard)
    (inner / "model.safetensors").unlink()
    (inner / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shard_of}), "utf-8")
    done = repair(str(folder), "wrapper-prefix", tmp_path / "out")
    assert done.fixed and {"1_Pooling/config.json", "modules.json", "0_Transformer/model.safetensors"} <= set(done.files)
    assert mishaps.read(tmp_path / "out" / "0_Transformer").keys() == mishaps.read(sound).keys()
    run(done.code.replace(str(tmp_path / "out"), str(tmp_path / "by hand")))
    assert digests(tmp_path / "by hand") == digests(tmp_path / "out")


def test_what_no_file_tells_is_not_guessed(sound: Path, tmp_path: Path) -> None:
    by_name = {case.break_.__name__: case for case in MISHAPS}
    adapted = spoil(by_name["_low_rank"], sound, tmp_path / "adapted")
    (adapted / "adapter_config.json").unlink()
    with pytest.raises(BertlensError, match="no lora_alpha"):
        repair(str(adapted), "fine-tuning-absent", tmp_path / "out")
    long = spoil(by_name["_limits"], sound, tmp_path / "long")
    with pytest.raises(BertlensError, match="a limit of 600 tokens; expected at most 512"):
        repair(str(long), "conflicting-length-limits", tmp_path / "out", max_length=600)
    assert not (tmp_path / "out").exists()
    repair(str(long), "conflicting-length-limits", tmp_path / "out")
    assert document(tmp_path / "out", "tokenizer.json")["truncation"]["max_length"] == 256  # the declared recipe's
    repair(str(long), "conflicting-length-limits", tmp_path / "all", max_length=512)
    assert document(tmp_path / "all", "tokenizer_config.json")["model_max_length"] == 512


def test_the_tensor_file_is_what_safetensors_would_write(tmp_path: Path) -> None:
    tensors = {
        "b": torch.arange(6).reshape(2, 3).T,
        "ä": torch.tensor(1.5, dtype=torch.bfloat16),
        "c.none": torch.zeros(0, 4),
        "a": torch.tensor([True, False, True]),
        "d": torch.ones(3, dtype=torch.float16),
        "e": torch.ones(2, dtype=torch.float64),
    }
    save_file({key: value.contiguous() for key, value in tensors.items()}, tmp_path / "theirs", metadata={"format": "pt"})
    plan = {k: Planned(tuple(v.shape), str(v.dtype)[6:], v.detach) for k, v in tensors.items()}
    tensorfile.save(plan, tmp_path / "ours")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.parametrize(
    ("finding", "message"),
    [
        ("wrapper-prefix", "a checkpoint for which the check does not report it; expected one of"),
        ("classifier-untrained", "cannot carry out; by hand: train it on labelled texts"),
        ("anisotropy", "cannot carry out; by hand: Sentence-trained model"),
        ("wrapper-prefiks", "no finding of that name; expected one that the check reports, such as wrapper-prefix"),
    ],
)
def test_what_is_not_reported_or_cannot_be_carried_out(finding: str, message: str, sound: Path, tmp_path: Path) -> None:
    with pytest.raises(BertlensError, match=message):
        repair(str(sound), finding, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_finding_that_is_not_reported_is_answered_with_those_that_are(sound: Path, tmp_path: Path) -> None:
    case = next(case for case in MISHAPS if case.break_.__name__ == "_legacy")
    with pytest.raises(BertlensError, match="expected one of legacy-layernorm-names"):
        repair(str(spoil(case, sound, tmp_path / "broken")), "wrapper-prefix", tmp_path / "out")
    with pytest.raises(BertlensError, match="no base; expected --from BASE"):
        case = next(case for case in MISHAPS if case.break_.__name__ == "_norms_lost")
        repair(str(spoil(case, sound, tmp_path / "lost")), "legacy-layernorm-names", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["", "inner", "link", "full", "file", "none/out"])
def test_a_folder_that_is_not_free_is_refused_before_anything_is_read(place: str, sound: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sound, tmp_path / "checkpoint"))
    (tmp_path / "link").symlink_to(folder / "inner")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "file").touch()
    before = digests(tmp_path)
    out = folder / place if place in ("", "inner") else tmp_path / place
    with pytest.raises(BertlensError, match="cannot write the repaired checkpoint"):
        repair(str(folder), "wrapper-prefix", out)
    assert digests(tmp_path) == before


@pytest.mark.parametrize("fails", ["disk", "proof", "check"])
def test_a_failure_leaves_nothing(fails: str, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = spoil(MISHAPS[0], sound, tmp_path / "broken")
    (tmp_path / "out").mkdir()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device") if fails == "disk" else BertlensError("cannot agree")

    if fails == "disk":
        monkeypatch.setattr(tensorfile, "_numbers", fail)
    elif fails == "proof":
        monkeypatch.setattr(Work, "refuse", fail)
        monkeypatch.setattr(Work, "rename", lambda work, keys, line: (work.proofs.append(fail), work.draft.rename(keys)))
    else:
        monkeypatch.setattr(tensorfile, "save", lambda tensors, path: path.write_bytes(b"no weights"))
    with pytest.raises(BertlensError, match="No space left|cannot agree|truncated or corrupted"):
        repair(str(folder), MISHAPS[0].finding, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} <= {"broken", "out"}
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_link_that_leads_out_is_not_copied(sound: Path, tmp_path: Path) -> None:
    folder = spoil(MISHAPS[0], sound, tmp_path / "broken")
    (tmp_path / "secret").write_text("secret", "utf-8")
    (folder / "LICENSE").symlink_to(tmp_path / "secret")
    with pytest.raises(BertlensError, match="a link that leads out"):
        repair(str(folder), MISHAPS[0].finding, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_registry_names_findings_of_the_catalogue() -> None:
    assert set(REMEDIES) <= set(catalogue()) and set(BY_HAND) <= set(catalogue()) - set(REMEDIES)
    remedy = repairable("pooler-missing")
    assert remedy and remedy.needs_base and remedy.takes_base and repairable("anisotropy") is None
    assert {case.finding for case in MISHAPS} | {"cls-read-at-padding", "lowercased-cased-model"} == set(REMEDIES)
