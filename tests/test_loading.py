"""Loading: folders that are right load, and each that is wrong says in one line what is wrong."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, GPT2Config, T5Config, ViTConfig

import bertlens
from bertlens.errors import BertlensError
from bertlens.run.checkpoint import PACKAGED_DIGEST, Checkpoint, digest
from tests.conftest import Folder, Loaded

TEXTS = ("A cat sat.", "Rain fell all night on the old stone bridge.")


def findings(checkpoint: Checkpoint, readout: str = "cls") -> list[tuple[str, str]]:
    result = bertlens.compare(checkpoint, TEXTS, reference="", candidate="", readout=readout)
    assert result.verdict == "identical"
    return [(finding.id, finding.severity) for finding in result.findings]


def test_the_packaged_checkpoint(minilm: Checkpoint) -> None:
    facts = minilm.architecture
    assert (facts.kind, facts.layers, facts.hidden, facts.heads, facts.positions) == ("bert", 6, 384, 12, 512)
    assert (minilm.digest, minilm.max_length, minilm.report.newly_initialised) == (PACKAGED_DIGEST, 512, ())
    assert findings(minilm, "pooler") == [("pooler-untrained", "problem")]
    assert findings(minilm, "cls") == []


def test_facts_of_every_family(checkpoint: Checkpoint) -> None:
    facts = checkpoint.architecture
    kind = facts.kind
    assert (facts.layers, facts.hidden, facts.heads, facts.positions, checkpoint.max_length) == (3, 32, 4, 64, 64)
    assert facts.first_position == {"roberta": 2, "xlm-roberta": 2, "mpnet": 2, "modernbert": -1}.get(kind, 0)
    assert facts.segments == {"bert": 2, "electra": 2, "albert": 2, "roberta": 1, "xlm-roberta": 1}.get(kind, 0)
    assert facts.attentions == (("eager",) if kind == "mpnet" else ("sdpa", "eager"))
    assert facts.pooler == (kind in ("bert", "roberta", "xlm-roberta", "albert", "mpnet"))
    assert not checkpoint.report.newly_initialised
    assert not checkpoint.model.training
    assert {parameter.dtype for parameter in checkpoint.model.parameters()} == {torch.float32}


def test_half_precision_weights_are_loaded_in_float32(loaded: Loaded, tmp_path: Path) -> None:
    bert = loaded("bert")
    AutoModel.from_pretrained(bert.folder, dtype=torch.bfloat16).save_pretrained(tmp_path)
    bert.tokenizer.save_pretrained(tmp_path)
    assert {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in bertlens.load(str(tmp_path)).model.parameters()} == {torch.float32}


def test_sentence_transformers_folder(loaded: Loaded, tmp_path: Path) -> None:
    bert = loaded("bert")
    shutil.copytree(bert.folder, tmp_path / "0_Transformer")
    parts = [{"path": "1_Pooling", "type": "Pooling"}, {"path": "../outside"}, {"path": "0_Transformer", "type": "Transformer"}]
    (tmp_path / "modules.json").write_text(json.dumps(parts))
    assert bertlens.load(str(tmp_path)).digest == bert.digest
    (tmp_path / "modules.json").write_text(json.dumps(parts[:2]))
    with pytest.raises(BertlensError, match="it is not a checkpoint; got a folder with modules.json, 1 other"):
        bertlens.load(str(tmp_path))


@pytest.mark.parametrize("content", ["null", "5", "[5]", "{", '{"a": "b"}', "[[]]"])
def test_broken_modules_json(tmp_path: Path, content: str) -> None:
    (tmp_path / "modules.json").write_text(content)
    with pytest.raises(BertlensError, match="it is not a checkpoint; got a folder with modules.json"):
        bertlens.load(str(tmp_path))


def test_a_masked_lm_has_no_pooler(loaded: Loaded) -> None:
    masked = loaded("bert", head="masked-lm")
    assert masked.report.newly_initialised == ("pooler.dense.bias", "pooler.dense.weight")
    assert masked.report.unexpected
    assert findings(masked, "pooler") == [("pooler-missing", "problem")]
    assert findings(masked, "cls") == [("pooler-missing", "note")]
    assert findings(loaded("bert"), "pooler") == findings(loaded("bert"), "cls") == []
    assert findings(loaded("bert", head="sequence-classification"), "pooler") == []
    result = bertlens.compare(masked, TEXTS, readout="pooler")
    (finding, *_) = result.findings
    assert finding.affects == ("pooler_output",)
    assert finding.evidence["newly_initialised"] == ["pooler.dense.bias", "pooler.dense.weight"]


def test_two_loads_of_a_masked_lm_draw_two_poolers(loaded: Loaded) -> None:
    first = loaded("bert", head="masked-lm")
    again = bertlens.load(str(first.folder))
    same = bertlens.compare(first, TEXTS, reference="", candidate="", against=again)
    drawn = bertlens.compare(first, TEXTS, reference="", candidate="", against=again, readout="pooler")
    assert (same.verdict, drawn.verdict) == ("identical", "different")
    assert "pooler-missing" in [finding.id for finding in drawn.findings if finding.severity == "problem"]


def test_prefixed_weights_are_all_newly_initialised(copy_of: Folder, loaded: Loaded) -> None:
    folder = copy_of(loaded("bert").folder)
    weights = load_file(folder / "model.safetensors")
    save_file({f"_orig_mod.{key}": value for key, value in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    broken = bertlens.load(str(folder))
    assert len(broken.report.newly_initialised) == len(weights)
    assert findings(broken) == [("weights-not-loaded", "problem")]
    save_file({f"bert.{key}": value for key, value in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    assert findings(bertlens.load(str(folder))) == []


Spoil = Callable[[Path], Any]
PAYLOAD: list[str] = []


class Code:
    """A pickle that runs code where it is loaded without care."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("import tests.test_loading as here; here.PAYLOAD.append('ran')",))


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"embeddings.word_embeddings.weight": Code()}, protocol=2))


def zipped(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"embeddings.word_embeddings.weight": Code()}, folder / "pytorch_model.bin")


def no_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (folder / name).unlink(missing_ok=True)


def config(**changes: Any) -> Spoil:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def write(name: str, content: str | bytes) -> Spoil:
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "it is not a checkpoint; got a folder with model.safetensors"),
        (cut_short, "got model.safetensors that is truncated or corrupted"),
        (write("model.safetensors", b""), "got model.safetensors that is truncated or corrupted"),
        (lambda folder: (folder / "model.safetensors").unlink(), "got no weight file; expected model.safetensors"),
        (pickled, "got pytorch_model.bin that is a pickle with more than weights in it, which is not run"),
        (zipped, "got pytorch_model.bin that is a pickle with more than weights in it, which is not run"),
        (no_tokenizer, "cannot load the tokenizer of .*; got no tokenizer file; expected tokenizer.json or vocab.txt"),
        (write("tokenizer.json", "{}"), "cannot load the tokenizer of"),
        (write("config.json", "{"), "cannot read config.json of .*; got broken JSON"),
        (write("config.json", b"\xff\xfe"), "cannot read config.json of .*; got broken JSON"),
        (write("config.json", "[]"), "got no model_type; expected a transformers config"),
        (write("config.json", GPT2Config().to_json_string()), "got a decoder .gpt2.; expected an encoder: BERT"),
        (write("config.json", ViTConfig().to_json_string()), "got a vision model .vit.; expected an encoder"),
        (write("config.json", T5Config().to_json_string()), "got an encoder-decoder .t5.; expected an encoder"),
        (config(is_decoder=True), "got a decoder .bert with is_decoder=true."),
        (config(model_type="nonesuch"), "got the model_type 'nonesuch' .*; expected an encoder that transformers knows"),
        (config(hidden_size="wide"), "cannot read config.json of .*; got a wrong value .*hidden_size"),
        (config(layer_norm_eps=None), "got a wrong value .*layer_norm_eps"),
        (config(max_position_embeddings=10), "model.safetensors that does not fit config.json"),
        (config(num_attention_heads=5), "not a multiple of the number of attention heads"),
        (config(quantization_config={"quant_method": "x"}), "got quantised weights; expected float weights"),
    ],
)
def test_broken_folders(copy_of: Folder, loaded: Loaded, spoil: Spoil, message: str) -> None:
    folder = copy_of(loaded("bert").folder)
    bertlens.load(str(folder))
    spoil(folder)
    with pytest.raises(BertlensError, match=message) as caught:
        bertlens.load(str(folder))
    assert len(str(caught.value).splitlines()) == 1
    assert PAYLOAD == []


def test_the_pickle_would_have_run_its_code() -> None:
    pickle.loads(pickle.dumps(Code()))
    assert PAYLOAD == ["ran"]
    PAYLOAD.clear()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "got no name; expected minilm, a folder or a Hub id"),
        ("  ", "got no name"),
        ("no/such/folder", "got no such folder, and no valid Hub id.*check the spelling"),
        ("~nobody-by-this-name/x", "got no such folder"),
        ("a" * 5000, "got no such folder"),
        ("\0", "got no such folder"),
        ("own/none", "own/none.*network is off"),
        (__file__, "got a file; expected the folder that holds it"),
    ],
)
def test_names_that_lead_nowhere(name: str, message: str) -> None:
    with pytest.raises(BertlensError, match=message) as caught:
        bertlens.load(name, offline=True)
    assert len(str(caught.value)) < 400 + len(__file__)


def test_empty_folder_and_unknown_device(tmp_path: Path) -> None:
    with pytest.raises(BertlensError, match="it is not a checkpoint; got an empty folder"):
        bertlens.load(str(tmp_path))
    for device in ("tpu", "cuda:99", ""):
        with pytest.raises(BertlensError, match=f"cannot run on '{device}'.*expected cpu, cuda"):
            bertlens.load(device=device)


def test_a_packaged_checkpoint_that_was_tampered_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertlens.run.checkpoint.digest", lambda folder: "0" * 64)
    with pytest.raises(BertlensError, match="cannot trust the packaged checkpoint; got SHA-256 000000000000….*reinstall"):
        bertlens.load()


def test_the_digest_is_that_of_the_weights_alone(copy_of: Folder, loaded: Loaded) -> None:
    bert = loaded("bert")
    folder = copy_of(bert.folder, layer_norm_eps=1e-5)
    assert digest(folder) == bert.digest
    cut_short(folder)
    assert digest(folder) != bert.digest
    shown = json.dumps(bert.to_dict())
    assert bert.digest in shown
