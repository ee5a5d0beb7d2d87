"""Recipes by hand: vectors made with torch and transformers the way people write it, to hold `bertlens.identify` against.

Only the description of a recipe comes from bertlens; how it is carried out is written here a second time, on a folder.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from sentence_transformers.quantization import quantize_embeddings
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from bertlens.read.logits import Logits
from bertlens.read.post import Post
from bertlens.read.recipe import Recipe
from bertlens.run.condition import Condition

Text = str | tuple[str, str]

KEPT = 4
"""Models of one folder kept in memory, by number format, attention implementation and dropout."""


class ByHand:
    """A checkpoint folder as people load it."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = str(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder)
        self._models: OrderedDict[tuple[str, str, bool, bool], Any] = OrderedDict()

    def model(self, dtype: str, attention: str = "sdpa", *, dropout: bool = False, head: bool = False) -> Any:
        """`AutoModel` in a number format, with dropout on or off; with its head the classifier."""
        key = (dtype, attention, dropout, head)
        if key not in self._models:
            self._models[key] = _loaded(self.folder, dtype, attention, head).train(dropout)
            while len(self._models) > KEPT:
                self._models.popitem(last=False)
        self._models.move_to_end(key)
        return self._models[key]

    @property
    def depth(self) -> int:
        """Layers of the model."""
        return int(self.model("float32").config.num_hidden_layers)

    @property
    def limit(self) -> int:
        """Tokens to which `truncation=True` cuts."""
        return int(self.tokenizer.model_max_length)


def _loaded(folder: str, dtype: str, attention: str, head: bool) -> Any:
    auto = AutoModelForSequenceClassification if head else AutoModel
    try:
        return auto.from_pretrained(folder, dtype=getattr(torch, dtype), attn_implementation=attention)
    except ValueError:  # MPNet has no fused attention
        return auto.from_pretrained(folder, dtype=getattr(torch, dtype), attn_implementation="eager")


def raw(
    by_hand: ByHand,
    texts: Sequence[Text],
    recipe: Recipe,
    *,
    rows: Sequence[int | None] | None = None,
    dtype: str | None = None,
    seed: int = 0,
) -> np.ndarray:
    """The vectors of a recipe before its post-processing, in the order of the texts: (texts, dims), float32 or float64.

    Parameters
    ----------
    rows : the row that holds each text, for batches that are filled in the order of the rows; texts without one come last.
    dtype : instead of that of the recipe.
    """
    condition = recipe.condition.replace(dtype=dtype or recipe.condition.dtype)
    prepared = [_prepared(text, recipe) for text in texts]
    encoded = [_encoded(by_hand.tokenizer, text, condition, by_hand.limit) for text in prepared]
    order = _order(prepared, [len(row["input_ids"]) for row in encoded], recipe.arrival, rows)
    head = isinstance(recipe.readout, Logits)
    model = by_hand.model(condition.dtype, condition.attention, dropout=condition.dropout == "on", head=head)
    size = {"whole": len(order), "alone": 1}.get(str(condition.batch)) or int(condition.batch)
    vectors: list[Any] = [None] * len(order)
    with torch.no_grad(), torch.random.fork_rng(devices=[]), _softmax_in(condition.dtype):
        torch.manual_seed(seed)
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            for text, vector in zip(chosen, _batch(by_hand, model, [encoded[text] for text in chosen], recipe), strict=True):
                vectors[text] = vector.double() if condition.dtype == "float64" else vector.float()
    return torch.stack(vectors).numpy()


def _softmax_in(dtype: str) -> AbstractContextManager[Any]:
    """Several families ask for a softmax in float32 whatever their weights are, where a float64 mask becomes infinite."""
    plain = torch.nn.functional.softmax

    def kept(scores: torch.Tensor, dim: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        return plain(scores, dim=dim)

    return patch.object(torch.nn.functional, "softmax", kept) if dtype == "float64" else nullcontext()


def _prepared(text: Text, recipe: Recipe) -> Text:
    first, second = (text, None) if isinstance(text, str) else text
    first = recipe.prefix + first
    if recipe.lower:
        first, second = first.lower(), second.lower() if second is not None else None
    return first if second is None else (first, second)


def _encoded(tokenizer: Any, text: Text, condition: Condition, limit: int) -> dict[str, list[int]]:
    """One text, not padded; special tokens are added twice by writing them into the text, as "[CLS] text [SEP]"."""
    sides = [text] if isinstance(text, str) else list(text)
    if condition.specials == "doubled":
        assert len(sides) == 1, "special tokens are doubled around single texts only"
        sides = [f"{tokenizer.cls_token}{sides[0]}{tokenizer.sep_token}"]
    cut = limit if condition.max_length == "model" else int(condition.max_length)
    given = tokenizer(
        *sides,
        truncation=True,
        max_length=cut,
        add_special_tokens=condition.specials != "off",
        return_token_type_ids=True,
        verbose=False,
    )
    return {name: list(given[name]) for name in ("input_ids", "token_type_ids", "attention_mask")}


def _order(texts: Sequence[Text], tokens: Sequence[int], arrival: str, rows: Sequence[int | None] | None) -> list[int]:
    """Which text comes when."""
    order = list(range(len(texts)))
    if arrival == "rows" and rows is not None:
        held = {row: text for text, row in enumerate(rows) if row is not None}
        return [held[row] for row in sorted(held)] + [text for text in order if rows[text] is None]
    if arrival in ("given", "rows"):
        return order
    by = tokens if "tokens" in arrival else [len(text) if isinstance(text, str) else len(text[0] + text[1]) for text in texts]
    return sorted(order, key=lambda text: -by[text] if arrival.startswith("most") else by[text])


def _batch(by_hand: ByHand, model: Any, rows: list[dict[str, list[int]]], recipe: Recipe) -> torch.Tensor:
    """The vectors of one forward pass, or of one per text where the batch axis is lost."""
    condition, tokenizer = recipe.condition, by_hand.tokenizer
    width = max(len(row["input_ids"]) for row in rows) if condition.padding == "longest" else int(condition.padding)
    pads = {"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id, "attention_mask": 0}

    def padded(name: str) -> torch.Tensor:
        lists = [(row[name], [pads[name]] * (width - len(row[name]))) for row in rows]
        return torch.tensor([fill + ids if condition.side == "left" else ids + fill for ids, fill in lists])

    ids, segments, real = padded("input_ids"), padded("token_type_ids"), padded("attention_mask")
    inputs = _arguments(model, tokenizer, condition, ids, segments, real)
    if condition.rows == "slice":
        return _vectors(model(**inputs, output_hidden_states=True), ids, real, tokenizer, recipe)
    # ids[i] is (tokens,); Keras makes it (tokens, 1): as many sequences of one token, and people take the first
    found = []
    for row in range(len(rows)):
        out = model(**{name: tensor[row].reshape(-1, 1) for name, tensor in inputs.items()}, output_hidden_states=True)
        found.append(_vectors(out, ids[row].reshape(-1, 1), real[row].reshape(-1, 1), tokenizer, recipe)[:1])
    return torch.cat(found)


def _arguments(
    model: Any, tokenizer: Any, condition: Condition, ids: torch.Tensor, segments: torch.Tensor, real: torch.Tensor
) -> dict[str, torch.Tensor]:
    """What is passed to the model."""
    inputs = {"input_ids": ids}
    if condition.segments != "tokenizer":
        segments = torch.zeros_like(ids) if condition.segments == "zeros" else torch.ones_like(ids)
    if "token_type_ids" in tokenizer.model_input_names or condition.segments != "tokenizer":
        inputs["token_type_ids"] = segments
    if condition.mask == "on":
        inputs["attention_mask"] = real
    elif condition.mask == "inverted":
        inputs["attention_mask"] = 1 - real
    elif condition.mask == "swapped":
        inputs |= {"attention_mask": inputs.get("token_type_ids", torch.zeros_like(ids)), "token_type_ids": real}
    if condition.positions == "from-mask":
        # RoBERTa, XLM-R and MPNet count from behind the padding token's id, and padding itself has that id
        pad = model.config.pad_token_id if model.config.model_type in ("roberta", "xlm-roberta", "mpnet") else -1
        inputs["position_ids"] = torch.where(real == 1, real.cumsum(1) + pad, max(pad, 0))
    return inputs


def _vectors(out: Any, ids: torch.Tensor, real: torch.Tensor, tokenizer: Any, recipe: Recipe) -> torch.Tensor:
    """Outputs of one pass as one vector per row."""
    readout = recipe.readout
    if isinstance(readout, Logits):
        return {"softmax": out.logits.softmax(dim=-1), "sigmoid": torch.sigmoid(out.logits), "": out.logits}[readout.activation]
    if readout.pooling == "pooler":
        vectors = out.pooler_output
    elif readout.combine:
        count = len(out.hidden_states) if readout.layers == "all" else int(readout.layers.removeprefix("last"))
        layers = [out.hidden_states[-1 - step] for step in range(count)]
        several = [_pooled(layer, ids, real, tokenizer, readout.pooling) for layer in layers]
        joined = {
            "concat": lambda: torch.cat(several, dim=-1),
            "concat_reversed": lambda: torch.cat(several[::-1], dim=-1),
            "mean": lambda: torch.stack(several).mean(0),
            "sum": lambda: torch.stack(several).sum(0),
        }
        vectors = joined[readout.combine]()
    else:
        state = out.last_hidden_state if readout.layers == "-1" else out.hidden_states[int(readout.layers)]
        vectors = _pooled(state, ids, real, tokenizer, readout.pooling)
    return torch.nn.functional.normalize(vectors, p=2, dim=-1) if readout.l2 else vectors


def _pooled(state: torch.Tensor, ids: torch.Tensor, real: torch.Tensor, tokenizer: Any, pooling: str) -> torch.Tensor:
    every = torch.arange(len(state))
    if pooling == "first_position":
        return state[:, 0]
    if pooling == "mean_all":
        return state.mean(dim=1)
    if pooling in ("cls", "lasttoken"):
        places = torch.arange(state.shape[1])
        place = (places * real).argmax(1) if pooling == "lasttoken" else real.argmax(1)
        return state[every, place]
    mask = real.unsqueeze(-1).to(state.dtype)
    if pooling == "max":
        return state.masked_fill(mask == 0, float("-inf")).max(dim=1).values
    if pooling == "mean_content":
        ends = torch.tensor([tokenizer.cls_token_id, tokenizer.sep_token_id])
        mask = mask * (~torch.isin(ids, ends)).unsqueeze(-1).to(state.dtype)
    if pooling == "weightedmean":
        mask = mask * real.cumsum(1).unsqueeze(-1).to(state.dtype)
    summed, count = (state * mask).sum(dim=1), mask.sum(dim=1)
    return summed / (count.sqrt() if pooling == "mean_sqrt_len_tokens" else count)


def before_storing(vectors: np.ndarray, post: Post) -> np.ndarray:
    """Everything that is done to the vectors but how they are stored, in the precision they have: (texts, dims)."""
    if post.centred == "texts":
        vectors = vectors - vectors.mean(axis=0)
    elif post.centred == "components":
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
    if post.dims is not None:
        vectors = vectors[:, : post.dims]
    if post.again:
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    if post.sign:
        vectors = np.abs(vectors) if post.sign == "removed" else np.sign(vectors)
    return vectors * vectors.dtype.type(post.scale)


def stored(vectors: np.ndarray, post: Post) -> np.ndarray:
    """The vectors in the format they are stored in, as a database or a file would hand them back: (texts, dims)."""
    if post.store == "float16":
        return vectors.astype(np.float16)
    if post.store == "bfloat16":
        return torch.from_numpy(np.ascontiguousarray(vectors)).bfloat16().float().numpy()
    if post.store.endswith("g"):  # as text with so many digits
        said = np.vectorize(lambda number: float(f"{number:.{int(post.store[:-1]) - 1}e}"))(vectors)
        return np.asarray(said, vectors.dtype)
    if post.store != "int8":
        return np.round(vectors, int(post.store)) if post.store else vectors
    if post.int8 in ("columns", "unsigned"):
        return np.asarray(quantize_embeddings(vectors, precision="int8" if post.int8 == "columns" else "uint8"))
    if post.int8 == "rows":
        largest = np.abs(vectors).max(axis=1, keepdims=True)
        codes = np.round(vectors / largest * 127)
        return codes.astype(np.int8) if post.codes else (codes * largest / 127).astype(vectors.dtype)
    codes = np.clip(np.round(vectors / post.step), -128, 127)
    return codes.astype(np.int8) if post.step == 1 else (codes * post.step).astype(vectors.dtype)


QUANTISED = {
    "codes round(127 x) of unit vectors": Post(store="int8", scale=127.0),
    "round(x / s) · s with one scale s = max |x| / 127": Post(store="int8", step=0.0),
    "codes by each vector's largest component": Post(store="int8", int8="rows"),
    "each vector by its largest component, dequantised": Post(store="int8", int8="rows", codes=False),
    "quantize_embeddings of sentence-transformers": Post(store="int8", int8="columns"),
}
"""Common ways to int8; a step of 0 depends on the vectors, and `settled` fills it in."""


def settled(recipe: Recipe, vectors: np.ndarray) -> Recipe:
    """The recipe with the step of a quantisation by one scale, which depends on the vectors; others as they are."""
    post = recipe.post
    if post.step:
        return recipe
    step = float(np.abs(before_storing(vectors, post)).max()) / 127
    return replace(recipe, post=replace(post, step=step))
