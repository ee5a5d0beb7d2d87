"""Vocabulary: a checkpoint's tokenizer as it is loaded, to be asked without changing it, and as its files write it down."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer, decoders

from bertlens.errors import BertlensError
from bertlens.run.documents import Documents
from bertlens.run.dossier import Dossier

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

SPECIALS = ("cls", "sep", "pad", "unk", "mask", "bos", "eos")
UNSET = 1_000_000
"""transformers writes 1e30 where no length limit is set; no encoder takes a million tokens."""

Cut = Callable[..., list[list[int]] | None]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The tokenizer as `AutoTokenizer` loads it.

    Attributes
    ----------
    tokenizer : the loaded tokenizer, shared and never reconfigured: it keeps truncation and padding as state.
    ids : every token with its id, added ones included.
    base : the tokens of its model alone.
    """

    tokenizer: Any
    ids: Mapping[str, int]
    base: Mapping[str, int]

    @cached_property
    def pipeline(self) -> Tokenizer | None:
        """A copy of the pipeline that neither truncates nor pads; None for a tokenizer written in Python."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        return unbounded(copy.deepcopy(backend)) if isinstance(backend, Tokenizer) else None

    @cached_property
    def kind(self) -> str:
        """ "WordPiece", "BPE", "Unigram", "WordLevel", or "" for a tokenizer written in Python."""
        return "" if self.pipeline is None else type(self.pipeline.model).__name__

    @cached_property
    def byte_level(self) -> bool:
        """Whether texts are cut into bytes, so that nothing is unknown."""
        return self.pipeline is not None and "ByteLevel" in repr(self.pipeline.pre_tokenizer)

    def cut(self, texts: Sequence[Any], specials: bool = False) -> list[list[int]] | None:
        """The ids of texts (or pairs), neither truncated nor padded; None where the tokenizer fails on them."""
        if self.pipeline is not None:
            return cutter(self.pipeline)(texts, specials)
        try:
            return [
                list(self.tokenizer(*((text,) if isinstance(text, str) else text), add_special_tokens=specials)["input_ids"])
                for text in texts
            ]
        except Exception:  # whatever a tokenizer written in Python raises
            return None

    def special(self, name: str) -> int | None:
        """The id of "cls", "sep", "pad" …, None where there is no such token."""
        found = getattr(self.tokenizer, f"{name}_token_id", None)
        return found if isinstance(found, int) else None

    def named(self) -> dict[str, tuple[str, int]]:
        """The special tokens that the tokenizer has: {"cls": ("[CLS]", 101)}."""
        known = ((name, getattr(self.tokenizer, f"{name}_token", None), self.special(name)) for name in SPECIALS)
        return {name: (str(token), number) for name, token, number in known if token is not None and number is not None}

    @cached_property
    def spelled(self) -> dict[str, int]:
        """The entries that a text can begin with, special tokens left out, as the text would spell them."""
        apart = set(self.tokenizer.all_special_tokens)
        model = None if self.pipeline is None else self.pipeline.model
        prefix = getattr(model, "continuing_subword_prefix", "##") if self.kind == "WordPiece" else ""
        decode = decoders.ByteLevel().decode if self.byte_level else None
        found = {}
        for token, number in self.base.items():
            if token in apart or _bracketed(token) or (prefix and token.startswith(prefix)):
                continue
            text = decode([token]) if decode else token.replace("▁", " ")
            if decode or self.kind == "WordPiece" or text.startswith(" "):
                found[text if decode else text.strip()] = number
        found.pop("", None)
        return found


def of(dossier: Dossier) -> Vocabulary | None:
    """The vocabulary of a checkpoint, None where the folder holds no tokenizer; kept as long as its dossier.

    Raises
    ------
    BertlensError
        Where the tokenizer cannot be loaded.
    """
    if dossier not in _KEPT:
        tokenizer = dossier.tokenizer
        if tokenizer is None:
            return None
        backend = getattr(tokenizer, "backend_tokenizer", None)
        ids = dict(tokenizer.get_vocab())
        base = backend.get_vocab(with_added_tokens=False) if isinstance(backend, Tokenizer) else ids
        _KEPT[dossier] = Vocabulary(tokenizer, ids, base)
    return _KEPT[dossier]


_KEPT: weakref.WeakKeyDictionary[Dossier, Vocabulary] = weakref.WeakKeyDictionary()


def unbounded(pipeline: Tokenizer) -> Tokenizer:
    """The pipeline without the truncation and padding that its file may carry."""
    pipeline.no_truncation()
    pipeline.no_padding()
    return pipeline


def cutter(pipeline: Tokenizer) -> Cut:
    """A function from texts to ids; None where the pipeline fails, as WordPiece does on unknown words without [UNK]."""

    def cut(texts: Sequence[Any], specials: bool = False) -> list[list[int]] | None:
        try:
            return [row.ids for row in pipeline.encode_batch(list(texts), add_special_tokens=specials)]
        except Exception:  # tokenizers raises bare Exception
            return None

    return cut


def as_written(dossier: Dossier) -> Tokenizer | None:
    """tokenizer.json as any other runtime reads it; None where there is none or it cannot be read."""
    if "tokenizer.json" not in dossier.documents:
        return None
    try:
        return unbounded(Tokenizer.from_file(str(dossier.folder / "tokenizer.json")))
    except Exception:  # tokenizers raises bare Exception for a broken file
        return None


def paper(documents: Documents, name: str) -> dict[str, Any]:
    """A document of the tokenizer, empty where it is broken: that is told once, by `of_tokenizer`."""
    try:
        return documents[name]
    except BertlensError:
        return {}


def in_json(documents: Documents) -> dict[str, int]:
    """Token and id of the model inside tokenizer.json, without added tokens; empty where there is none."""
    model = documents["tokenizer.json"].get("model")
    entries = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(entries, dict):
        return {str(token): number for token, number in entries.items() if isinstance(number, int)}
    if isinstance(entries, list):
        pieces = (entry[0] if isinstance(entry, list) and entry else entry for entry in entries)
        return {str(piece): at for at, piece in enumerate(pieces)}
    return {}


def added_in_json(documents: Documents) -> dict[str, int]:
    """The added tokens of tokenizer.json with the ids that it gives them."""
    listed = documents["tokenizer.json"].get("added_tokens")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return {str(entry.get("content")): entry["id"] for entry in entries if isinstance(entry.get("id"), int)}


def in_lines(documents: Documents) -> dict[str, int]:
    """Token and id of vocab.txt; of a token that stands twice the last line counts, as in the loaders."""
    return {line: at for at, line in enumerate(documents.vocabulary or ())}


def rows(dossier: Dossier) -> int:
    """Rows of the word embedding in the file, or of the one that the config asks for where the file holds none."""
    name = dossier.encoder.word_embeddings
    held = dossier.alignment.loaded.get(name)
    apart = [mismatch.held for mismatch in dossier.alignment.mismatched if mismatch.name == name]
    shape = dossier.weights.entries[held].shape if held else apart[0] if apart else dossier.encoder.parts[name].shape
    return int(shape[0])


def where(dossier: Dossier | Checkpoint) -> str:
    """What to hand to `from_pretrained`, as it stands in code."""
    return repr(str(dossier.folder) if dossier.name == "minilm" else dossier.name)


def some(values: Sequence[Any], number: int = 5) -> list[Any]:
    """The first few, as examples."""
    return list(values)[:number]


def spread(values: Sequence[Any], number: int) -> list[Any]:
    """At most `number` of them from all over, always the same ones."""
    number = min(number, len(values))
    return [values[at * len(values) // number] for at in range(number)]


def _bracketed(token: str) -> bool:
    return len(token) > 2 and token[0] + token[-1] in ("[]", "<>")
