"""Checkpoints from the Hugging Face Hub, as folders in the cache that transformers uses too.

The Hub client waits without limit, retries for minutes and draws bars on the terminal. Here the waiting is bounded, a
caller sees every byte and can cancel at any moment, and each way to fail ends in one sentence that says what to do.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterable
from fnmatch import fnmatch
from json import JSONDecodeError
from pathlib import Path
from typing import Any, cast

from huggingface_hub import HfApi, constants, get_cached_repo_tree, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from bertlens.errors import BertlensError
from bertlens.run.progress import Progress
from bertlens.run.watch import Failed, Watch, tuned_client

PRESETS: dict[str, str] = {
    "google-bert/bert-base-uncased": "BERT base, English, lower case",
    "google-bert/bert-base-cased": "BERT base, English, upper and lower case",
    "google-bert/bert-base-multilingual-cased": "BERT base, 104 languages",
    "google-bert/bert-large-uncased": "BERT large, English, lower case",
    "distilbert/distilbert-base-uncased": "DistilBERT, half the layers of BERT base",
    "FacebookAI/roberta-base": "RoBERTa base, English, byte-level BPE",
    "FacebookAI/xlm-roberta-base": "XLM-RoBERTa base, 100 languages, SentencePiece",
    "google/electra-base-discriminator": "ELECTRA base, trained to spot replaced tokens",
    "albert/albert-base-v2": "ALBERT base, one set of layer weights used 12 times",
    "microsoft/mpnet-base": "MPNet base, the base of many sentence encoders",
    "answerdotai/ModernBERT-base": "ModernBERT base, rotary positions, up to 8192 tokens",
}

LOOK_UP_SECONDS = 8.0  # the first answer of the Hub; it bounds the name look-up too, which no socket timeout does
SILENCE_SECONDS = 90.0  # no new byte for so long: longer than the client's own six attempts at ten seconds each

# Exact names and numbered sentence-transformers modules: a wide pattern would bring code or another framework's files.
_SMALL = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "bpe.codes", "entity_vocab.json"),
    *("tokenizer.model", "spiece.model", "spm.model", "sentencepiece.bpe.model"),
    *("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", "[0-9]_*/config.json"),
)
_VOCABULARY = {"tokenizer.json", "vocab.txt", "vocab.json", *(name for name in _SMALL if name.endswith(".model"))}
_WEIGHTS = (("model", "safetensors"), ("pytorch_model", "bin"))  # in this order: a pickle only if there is no other
_FOREIGN = {
    ".h5": "TensorFlow",
    ".msgpack": "Flax",
    ".onnx": "ONNX",
    ".xml": "OpenVINO",
    ".gguf": "GGUF",
    ".ot": "Rust",
}
_FOREIGN |= {suffix: f"{suffix[1:]} files that are no complete set" for suffix in (".safetensors", ".bin")}
_INSTEAD = "use the packaged checkpoint `minilm` or the folder of a checkpoint on this computer"


def is_hub_id(name: str) -> bool:
    """Whether `name` can be a Hub id ("owner/name" or "name"), and is not the path of a folder."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return not Path(name).is_dir()


def fetch(hub_id: str, *, revision: str | None = None, offline: bool = False, progress: Progress | None = None) -> Path:
    """The folder with config, tokenizer, sentence-transformers files and weights of `hub_id`, downloaded if needed.

    Parameters
    ----------
    revision : a branch, tag or commit; the main branch without it.
    offline : take the copy in the cache and ask nothing of the network (HF_HUB_OFFLINE=1 has the same effect).
    progress : called in this thread about ten times a second, also while no byte arrives; what it raises ends the
        download and comes out here.

    A Hub that cannot be reached is no failure while the cache has a complete copy.
    """
    try:
        validate_repo_id(hub_id)
    except HFValidationError:
        raise BertlensError(f"'{hub_id}' is not a Hub id", expected="owner/name or name", do=_INSTEAD) from None
    tell = progress or (lambda done, total, step: None)
    closed = offline or constants.is_offline_mode()
    # A commit never changes, so that its complete copy needs no look at the network.
    if (closed or re.fullmatch("[0-9a-f]{40}", revision or "")) and (folder := _cached(hub_id, revision)):
        return _told(folder, tell, "in the cache")
    if closed:
        why = "offline=True" if offline else "HF_HUB_OFFLINE is set"
        do = f"fetch it once with the network, or {_INSTEAD}"
        raise BertlensError(f"no complete copy of {hub_id} is in the cache and the network is off ({why})", do=do)

    looking = Watch(tell, f"looking up {hub_id}", LOOK_UP_SECONDS)
    try:
        info = looking.run(lambda: HfApi().model_info(hub_id, revision=revision, files_metadata=True, timeout=5))
    except Failed as failed:
        explained, unreachable = _explained(failed.reason, hub_id, revision, "reach the Hub for")
        if unreachable and (folder := _cached(hub_id, revision)):
            return _told(folder, tell, "the Hub cannot be reached: using the copy in the cache")
        raise explained from failed.reason

    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    names = _wanted(sizes)
    _check_usable(hub_id, sizes, names)
    total = sum(sizes[name] for name in names)
    # A string is a path; the client answers with other things for a file that is not there.
    here = [n for n in names if isinstance(try_to_load_from_cache(hub_id, n, revision=info.sha), str)]
    before = sum(sizes[name] for name in here)
    _check_room(hub_id, total - before)
    loading = Watch(tell, f"downloading {hub_id}", SILENCE_SECONDS, before, total)

    def download() -> str:
        with tuned_client():
            bar = cast(Any, loading.bar)
            return snapshot_download(hub_id, revision=revision, allow_patterns=names, tqdm_class=bar)

    try:
        loading.run(download)
    except Failed as failed:
        raise _explained(failed.reason, hub_id, revision, "finish the download of")[0] from failed.reason
    # The client takes a partial folder for whole if the network goes away between its own look-ups: see for ourselves.
    if not (folder := _cached(hub_id, revision)):
        raise BertlensError(f"the download of {hub_id} is not complete", do=f"fetch it again, or {_INSTEAD}")
    return _told(folder, tell, "complete")


def _told(folder: Path, tell: Progress, step: str) -> Path:
    """`folder`, after a last call of the progress with everything done."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    size = sum((folder / name).stat().st_size for name in _wanted(names))
    tell(size, size, step)
    return folder


def _wanted(names: Iterable[str]) -> list[str]:
    """Which of a repository's files make up the checkpoint: the small ones and one complete set of weights."""
    names = sorted(names)
    return [name for name in names if any(fnmatch(name, small) for small in _SMALL)] + _weights(names)


def _weights(names: list[str]) -> list[str]:
    """The preferred complete set of weights among `names`, whole or in shards with their index; [] if there is none."""
    for stem, suffix in _WEIGHTS:
        if f"{stem}.{suffix}" in names:
            return [f"{stem}.{suffix}"]
        index = f"{stem}.{suffix}.index.json"
        shards = [name for name in names if re.fullmatch(rf"{stem}-\d+-of-\d+\.{suffix}", name)]
        if index in names and shards and len(shards) == int(shards[0].split("-of-")[1].split(".")[0]):
            return [index, *shards]
    return []


def _cached(hub_id: str, revision: str | None) -> Path | None:
    """The folder in the cache if everything wanted is there in its full size, without the network."""
    config = try_to_load_from_cache(hub_id, "config.json", revision=revision)
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    try:
        sizes = {file.path: file.size for file in get_cached_repo_tree(hub_id, revision=revision)}
    except CachedRepoTreeNotFoundError:
        # Put there by another program, file by file: what the repository holds besides is not known.
        sizes = {p.relative_to(folder).as_posix(): p.stat().st_size for p in folder.rglob("*") if p.is_file()}
        if not _VOCABULARY.intersection(sizes):
            return None
    names = _wanted(sizes)
    whole = all((folder / n).is_file() and (folder / n).stat().st_size == sizes[n] for n in names)
    return folder if whole and _weights(list(sizes)) else None


def _check_usable(hub_id: str, sizes: Iterable[str], names: list[str]) -> None:
    if "config.json" not in names:
        raise BertlensError(f"{hub_id} has no config.json and is no checkpoint for transformers", do=_INSTEAD)
    if not _weights(names):
        found = {_FOREIGN[suffix]: name for name in sorted(sizes) if (suffix := Path(name).suffix) in _FOREIGN}
        got = ", ".join(f"{kind} ({name})" for kind, name in found.items())
        what = f"{hub_id} has no weights that can be loaded"
        raise BertlensError(what, got=got or "no weights at all", expected="safetensors or pytorch_model.bin", do=_INSTEAD)


def _check_room(hub_id: str, needed: int) -> None:
    cache = Path(constants.HF_HUB_CACHE).expanduser().absolute()
    free = shutil.disk_usage(next(path for path in (cache, *cache.parents) if path.exists())).free
    if needed > free:
        got, expected = f"{free / 1e6:.0f} MB free", f"{needed / 1e6:.0f} MB"
        what = f"no room on the disk of the cache for {hub_id}"
        raise BertlensError(what, got=got, expected=expected, do=f"make room, set HF_HOME to another disk, or {_INSTEAD}")


def _explained(error: Exception, hub_id: str, revision: str | None, task: str) -> tuple[BertlensError, bool]:
    """What the Hub client raised as a sentence, and whether the Hub was out of reach (so that the cache may do)."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    code = getattr(error, "errno", None)
    if isinstance(error, RevisionNotFoundError):
        return BertlensError(f"{hub_id} has no revision '{revision}'", do="name a branch, tag or commit of it"), False
    if isinstance(error, RepositoryNotFoundError) and not isinstance(error, GatedRepoError):
        do = f"check the spelling, run `hf auth login` if it is private, or {_INSTEAD}"
        return BertlensError(f"the Hub has no model {hub_id}, or it is private", do=do), False
    if isinstance(error, GatedRepoError) or status in (401, 403):
        do = f"accept its terms on its Hub page if it is gated, run `hf auth login`, or {_INSTEAD}"
        return BertlensError(f"the Hub gives {hub_id} only to a token with access to it", got=str(status), do=do), False
    if code in (errno.ENOSPC, errno.EDQUOT):
        do = f"make room, set HF_HOME to another disk, or {_INSTEAD}"
        return BertlensError(f"the disk of the cache is full, so that {hub_id} could not be saved", do=do), False
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        do = "set HF_HOME to a folder that can be written"
        return BertlensError(f"cannot write {hub_id} into the cache", got=str(error), do=do), False
    reason = str(error.__cause__ or error).strip().splitlines()
    got = f"status {status}" if status else reason[0] if reason else type(error).__name__
    if isinstance(error, JSONDecodeError):
        got = "an answer that is not the Hub's, like the login page of a network"
    do = f"try again when the network is there, or {_INSTEAD}"
    return BertlensError(f"cannot {task} {hub_id}", got=got, do=do), True
