"""The alignment of a file with a model is what `from_pretrained` does, and the graph says what really hangs on what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from bertlens.run import alignment
from bertlens.run.dossier import compile_
from tests.checkpoints import Change, both, copied, dropped, prefixed, renamed
from tests.conftest import Folder as Folders
from tests.families import FAMILIES

HEADS = (None, "masked-lm", "sequence-classification")
CHANGES: dict[str, Change] = {
    "as it is": lambda tensors: tensors,
    "wrapped": prefixed("module."),
    "old names": both(renamed("LayerNorm.weight", "LayerNorm.gamma"), renamed("LayerNorm.bias", "LayerNorm.beta")),
    "without its last layer": dropped("layer.2.", "layers.2."),
}


def reported(kind: Any, path: Path) -> dict[str, set[str]]:
    _, info = kind.from_pretrained(path, output_loading_info=True, local_files_only=True, ignore_mismatched_sizes=True)
    return {name: {key if isinstance(key, str) else key[0] for key in info[name]} for name in info}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_what_transformers_reports(
    family: str, head: str | None, change: str, family_folder: Folders, tmp_path: Path
) -> None:
    folder = copied(family_folder(family, head=head) if head else family_folder(family), tmp_path / "checkpoint")
    folder.weights(CHANGES[change])
    dossier = compile_(str(folder.path))
    for found in (dossier.alignment, dossier.head_alignment):
        if found is None:
            assert head is None
            continue
        told = reported(type(found.blueprint.model), folder.path)
        assert set(found.missing) == told["missing_keys"]
        assert {mismatch.name for mismatch in found.mismatched} == told["mismatched_keys"]
        assert len(found.unexpected) == len(told["unexpected_keys"])
        modern = [key.replace(".gamma", ".weight").replace(".beta", ".bias") for key in found.unexpected]
        assert all(any(key.endswith(name) for name in told["unexpected_keys"]) for key in modern)


def test_another_vocabulary_size_is_a_mismatch(family_folder: Folders, tmp_path: Path) -> None:
    folder = copied(family_folder("bert"), tmp_path / "checkpoint").config(vocab_size=4000)
    found = compile_(str(folder.path)).alignment
    assert [mismatch.name for mismatch in found.mismatched] == ["embeddings.word_embeddings.weight"]
    assert reported(transformers.AutoModel, folder.path)["mismatched_keys"] == {"embeddings.word_embeddings.weight"}


RENAMES = {
    "module.": "strip “module.” from",
    "_orig_mod.module.": "strip “_orig_mod.module.” from",
    "a.b.encoder.": "strip “a.b.encoder.” from",
}


@pytest.mark.parametrize("prefix", RENAMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_any_prefix_is_found_and_the_rename_brings_everything_back(
    family: str, prefix: str, family_folder: Folders, tmp_path: Path
) -> None:
    folder = copied(family_folder(family), tmp_path / "checkpoint").weights(prefixed(prefix))
    found = compile_(str(folder.path)).alignment
    first = found.renames[0]
    assert first.words.startswith(RENAMES[prefix])
    assert set(first.keys.values()) == set(found.missing) == set(found.blueprint.parts)
    folder.weights(lambda tensors: {first.keys[key]: value for key, value in tensors.items() if key in first.keys})
    assert not compile_(str(folder.path)).alignment.missing


def test_a_sound_file_needs_no_rename(family_folder: Folders) -> None:
    assert (
        alignment.align(compile_(str(family_folder("bert"))).encoder, compile_(str(family_folder("bert"))).weights).renames
        == ()
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_outputs_of_a_weight_are_those_that_change_with_it(family: str, family_folder: Folders) -> None:
    dossier = compile_(str(family_folder(family)))
    model = transformers.AutoModel.from_pretrained(family_folder(family)).eval()
    ids = torch.tensor([[5, 6, 7, 8]])

    def outputs() -> dict[str, torch.Tensor]:
        with torch.no_grad():
            returned = model(input_ids=ids, output_hidden_states=True)
        states = {f"hidden_states[{at}]": state for at, state in enumerate(returned.hidden_states)}
        return states | {name: value for name, value in returned.items() if isinstance(value, torch.Tensor)}

    before = outputs()
    for name, parameter in model.named_parameters():
        held = parameter.detach().clone()
        with torch.no_grad():
            parameter.mul_(1.5).add_(0.1 * torch.randn_like(parameter))
        after = outputs()
        with torch.no_grad():
            parameter.copy_(held)
        moved = {output for output in before if not torch.equal(before[output], after[output])}
        graph = set(dossier.encoder.parts[name].outputs)
        # a key's bias cancels in the softmax: the graph knows that it is read, not that it makes no difference
        assert moved <= graph, name
        assert moved == graph or name.endswith("bias"), name
