"""Loading: transformers' own loaders, with every way a folder can be wrong turned into one sentence."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers.utils import logging as transformers_logging

from bertlens.errors import BertlensError, Unloadable
from bertlens.run.checkpoint import TOKENIZER_FILES, LoadReport, weight_files

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def config(folder: Path, name: str) -> Any:
    """The config of a folder, or the sentence that says why it is not a checkpoint."""
    file = folder / "config.json"
    if not file.is_file() and (folder / "adapter_config.json").is_file():
        raise BertlensError(
            f"cannot load {name}: it is an adapter without its base model",
            got=_held(folder),
            expected="config.json and whole weights",
            do="merge it into its base (peft: merge_and_unload) and save the result, or name the base",
        )
    if not file.is_file():
        raise BertlensError(
            f"cannot load {name}: it is not a checkpoint",
            got=_held(folder),
            expected="config.json, a tokenizer and weights (model.safetensors)",
            do="name the folder that save_pretrained wrote",
        )
    try:
        kind = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise BertlensError(f"cannot read config.json of {name}", got=f"broken JSON ({error})") from None
    if not isinstance(kind, dict) or "model_type" not in kind:
        raise BertlensError(f"cannot read config.json of {name}", got="no model_type", expected="a transformers config")
    try:
        return transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (StrictDataclassError, AttributeError) as error:  # a value of another type than the config class takes
        reason = " ".join(str(error).split())[:200]
        raise BertlensError(f"cannot read config.json of {name}", got=f"a wrong value ({reason})") from error
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise BertlensError(
            f"cannot use {name}",
            got=f"the model_type '{str(kind['model_type'])[:60]}' ({_first_line(error)})",
            expected="an encoder that transformers knows without code from the checkpoint",
        ) from error


def tokenizer(folder: Path, name: str) -> Any:
    """The tokenizer of a folder; a folder without one is refused, because transformers would make an empty one up."""
    if not any((folder / file).is_file() for file in TOKENIZER_FILES):
        raise Unloadable(
            f"cannot load the tokenizer of {name}",
            got="no tokenizer file",
            expected="tokenizer.json or vocab.txt beside config.json",
            do="copy the tokenizer of the model it was trained from into the folder",
        )
    try:
        with quiet():
            found = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # tokenizers raises bare Exception for a broken tokenizer.json
        raise Unloadable(f"cannot load the tokenizer of {name}", got=_first_line(error)) from error
    if len(found) <= len(found.all_special_tokens):
        raise Unloadable(f"cannot use the tokenizer of {name}", got=f"a vocabulary of {len(found)} tokens")
    return found


def model(folder: Path, name: str, config: Any, auto: Any = transformers.AutoModel) -> tuple[PreTrainedModel, LoadReport]:
    """The model in float32 on the CPU, in evaluation mode, with what loading reported.

    Parameters
    ----------
    auto : the Auto class that builds it; the base model where nothing is given.
    """
    files = weight_files(folder)
    if not files:
        raise Unloadable(
            f"cannot load the weights of {name}",
            got="no weight file",
            expected="model.safetensors or pytorch_model.bin beside config.json",
        )
    if getattr(config, "quantization_config", None):
        raise Unloadable(
            f"cannot load the weights of {name}", got="quantised weights", expected="float weights", do="see `bertlens check`"
        )
    try:
        with quiet():
            loaded, info = auto.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                output_loading_info=True,
                local_files_only=True,
                trust_remote_code=False,
                weights_only=True,
            )
    except Exception as error:  # safetensors, pickle, torch and transformers each raise their own kinds
        check_buildable(config, name)
        raise Unloadable(
            f"cannot load the weights of {name}",
            got=f"{files[0].name} that {_why(error)}",
            do="download or save the file again, or ask `bertlens check` what it holds",
        ) from error
    report = LoadReport(
        missing=tuple(sorted(info["missing_keys"])),
        unexpected=tuple(sorted(info["unexpected_keys"])),
        mismatched=tuple(sorted(str(key[0]) for key in info["mismatched_keys"])),
    )
    return loaded.eval(), report


def check_buildable(config: Any, name: str) -> None:
    """Raise where already the config cannot be made a model, so that the weights are not blamed for it."""
    try:
        with torch.device("meta"), quiet():
            transformers.AutoModel.from_config(config, trust_remote_code=False)
    except Exception as error:  # whatever a model's own constructor raises
        raise Unloadable(
            f"cannot build a model from config.json of {name}", got=_first_line(error), do="mend the config"
        ) from error


def usable_device(device: str) -> None:
    """Raise where PyTorch does not see the device."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise BertlensError(
            f"cannot run on '{device}'",
            got=_first_line(error),
            expected="cpu, cuda, cuda:1 or mps",
            do="try --device cpu",
        ) from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' own load report and bars off the terminal; bertlens reads the report and shows it itself."""
    before, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
        if bars:
            transformers_logging.enable_progress_bar()


def _held(folder: Path) -> str:
    """What a folder holds instead, by the names that checkpoints have; other names are nobody's business."""
    names = [path.name for path in folder.iterdir()]
    known = sorted(
        {*names} & {"modules.json", "adapter_config.json", "model.safetensors", "pytorch_model.bin", *TOKENIZER_FILES}
    )
    others = len(names) - len(known)
    rest = [f"{others} other{'s' * (others > 1)}"] if others else []
    return f"a folder with {', '.join([*known, *rest])}" if names else "an empty folder"


def _first_line(error: BaseException) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line.rstrip(".") if len(line) <= 160 else line[:157] + "…"


def _why(error: BaseException) -> str:
    kind = type(error).__name__
    if "Safetensor" in kind or "safetensor" in str(error).lower():
        return f"is truncated or corrupted ({_first_line(error)})"
    if "Unpickling" in kind or "weights_only" in str(error).lower():
        return "is a pickle with more than weights in it, which is not run"
    if "size mismatch" in str(error) or "mismatch" in str(error).lower():
        return f"does not fit config.json ({_first_line(error)})"
    return f"cannot be read ({_first_line(error)})"
