"""Draws for `benchmarks.identify`: a checkpoint, texts, a recipe, an order of the rows, and the vectors made by hand."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from benchmarks import identify_space, recipes
from benchmarks.identify_texts import drawn
from benchmarks.recipes import ByHand, Text
from bertlens.read.recipe import Recipe
from bertlens.run.checkpoint import Checkpoint, load, locate
from tests.families import FAMILIES, build

TEXTS = 8
MINILM = 0.4
"""Share of the draws that take the packaged checkpoint."""
PAIRS = 0.06
"""Share of sentence pairs, where a model has segments."""
MOST = {"minilm": 56}
"""Tokens of the longest text; the small models have 64 positions."""
MOST_SMALL = 40
LOGITS = 0.08
"""Share of the draws of small models that are logits of a classifier; its checkpoints have the seeds from `HEADED` on."""
HEADED = 100
LABELS = 4
LEAST_SPREAD = 1e-5
DECLARED = {"query": "query: ", "passage": "passage: "}


class Models:
    """The packaged checkpoint and small random ones of every family, each by hand and as bertlens loads it.

    Parameters
    ----------
    minilm : share of the draws that take the packaged one.
    """

    def __init__(self, root: Path, minilm: float = MINILM) -> None:
        self._root, self.minilm = root, minilm
        self._by_hand: dict[tuple[str, int], ByHand] = {}
        self._loaded: dict[tuple[str, int], Checkpoint] = {}

    def folder(self, family: str, seed: int) -> Path:
        """Small checkpoints of odd seeds declare prompts."""
        if family == "minilm":
            return locate("minilm")
        folder = self._root / f"{family}-{seed}"
        if not (folder / "config_sentence_transformers.json").exists():
            if seed >= HEADED:
                build(family, folder, seed=seed, head="sequence-classification", num_labels=LABELS)
            else:
                build(family, folder, seed=seed)
            prompts = DECLARED if seed % 2 else {}
            (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
        return folder

    def by_hand(self, family: str, seed: int) -> ByHand:
        key = (family, seed)
        if key not in self._by_hand:
            self._by_hand[key] = ByHand(self.folder(*key))
        return self._by_hand[key]

    def loaded(self, family: str, seed: int) -> Checkpoint:
        key = (family, seed)
        if key not in self._loaded:
            self._loaded[key] = load("minilm" if family == "minilm" else str(self.folder(*key)))
        return self._loaded[key]


@dataclass(frozen=True)
class Drawn:
    """Vectors and everything that made them.

    Attributes
    ----------
    deviations : names of what was changed, in the order of the draw.
    raw : the vectors in the order of the texts before post-processing, (texts, dims).
    vectors : what is handed to the search, (rows, dims).
    row_of_text : the row of each text, None where it is missing.
    control : for a negative control what was done, else "".
    """

    family: str
    model_seed: int
    texts: tuple[Text, ...]
    recipe: Recipe
    order: str
    deviations: tuple[str, ...]
    prefixes: tuple[str, ...]
    raw: np.ndarray = field(repr=False)
    vectors: np.ndarray = field(repr=False)
    row_of_text: tuple[int | None, ...] = ()
    control: str = ""

    @property
    def words(self) -> str:
        """What a failure is listed with."""
        done = self.recipe.words + (f"; rows {self.order}" if self.order != "same" else "")
        return f"{self.family}-{self.model_seed}: {done}" + (f"; {self.control}" if self.control else "")


def draft_of(
    draw: random.Random, models: Models, given: list[str], *, logits: bool = False
) -> tuple[identify_space.Draft, int]:
    """A checkpoint with its seed, texts, and a recipe without deviations; of a small model's `logits` where they are wanted."""
    family = "minilm" if draw.random() < models.minilm else draw.choice(FAMILIES)
    seed = 0 if family == "minilm" else draw.randint(0, 1)
    seed += HEADED if family != "minilm" and logits else 0
    facts, tokenizer = models.loaded(family, seed).architecture, models.by_hand(family, seed).tokenizer
    pairs = facts.segments > 1 and draw.random() < PAIRS
    texts = drawn(draw, tokenizer, TEXTS, given, most=MOST.get(family, MOST_SMALL), pairs=pairs)
    longest = max(len(tokenizer(*([text] if isinstance(text, str) else text))["input_ids"]) for text in texts)
    recipe = Recipe(readout=identify_space.logits(draw) if seed >= HEADED else identify_space.readout(draw, facts))
    return identify_space.Draft(draw, family, seed % 2 == 1, facts, texts, longest, recipe), seed


def of_recipe(seed: int, index: int, models: Models, given: list[str]) -> Drawn:
    """The draw of a number: always the same for the same seed and texts."""
    for attempt in range(50):
        draw = random.Random(f"{seed}-{index}-{attempt}")
        # drawn apart, so that the other draws stay what they were before there were logits
        logits = random.Random(f"logits {seed}-{index}").random() < LOGITS
        draft, model_seed = draft_of(draw, models, given, logits=logits)
        modules = models.loaded(draft.family, model_seed).model.modules()
        dropout = any(isinstance(module, torch.nn.Dropout) and module.p > 0 for module in modules)
        count = draw.choices([0, 1, 2, 3], [0.1, 0.3, 0.3, 0.3])[0]
        deviations = identify_space.deviate(draft, count, dropout=dropout)
        try:
            found = made(draft, model_seed, deviations, models)
        except (ValueError, RuntimeError, IndexError):
            continue  # the model cannot run it
        values = np.asarray(found.vectors, np.float32)
        if np.isfinite(found.raw).all() and np.isfinite(values).all() and not nothing_left(found):
            return found
    raise AssertionError(f"draw {index} of seed {seed} found nothing that runs")


def nothing_left(found: Drawn) -> bool:
    """Whether texts with one and the same vector lost their mean: what is left is the rounding of whoever made them."""
    spread = np.abs(found.raw - found.raw.mean(0)).max() / np.abs(found.raw).max()
    return found.recipe.post.centred == "texts" and bool(spread < LEAST_SPREAD)


def made(draft: identify_space.Draft, model_seed: int, deviations: tuple[str, ...], models: Models) -> Drawn:
    """Carry a draft out by hand."""
    draw, texts = draft.draw, list(draft.texts)
    if draft.order == "texts twice":
        texts[-2:] = [texts[0], texts[1]]
        draw.shuffle(texts)
    rows = ordered(draw, texts, draft.order)
    by_hand, dropout_seed = models.by_hand(draft.family, model_seed), draw.randint(0, 10**6)
    raw = recipes.raw(by_hand, texts, draft.recipe, rows=rows, seed=dropout_seed)
    recipe = recipes.settled(draft.recipe, raw)
    vectors = recipes.stored(recipes.before_storing(raw, recipe.post), recipe.post)
    held = [text for _, text in sorted((row, text) for text, row in enumerate(rows) if row is not None)]
    vectors = vectors[held]
    if draw.random() < 0.5 and not np.issubdtype(vectors.dtype, np.float32):
        vectors = vectors.astype(np.float32)
    return Drawn(
        draft.family,
        model_seed,
        tuple(texts),
        recipe,
        draft.order,
        deviations,
        draft.prefixes,
        raw,
        vectors,
        tuple(rows),
    )


def ordered(draw: random.Random, texts: list[Text], order: str) -> list[int | None]:
    """The row of each text."""
    count = len(texts)
    rows: list[int | None] = list(range(count))
    if order == "permuted" or (order == "texts twice" and draw.random() < 0.5):
        draw.shuffle(rows)
    elif order == "shifted by one":
        step = draw.choice([1, -1])
        rows = [(text + step) % count for text in range(count)]
    elif order == "two rows swapped":
        one, two = draw.sample(range(count), 2)
        rows[one], rows[two] = two, one
    elif order == "sorted by length":
        sign = draw.choice([-1, 1])
        by_length = sorted(range(count), key=lambda text: sign * len("".join(texts[text])))
        rows = [by_length.index(text) for text in range(count)]
    elif order == "rows missing":
        gone = set(draw.sample(range(count), draw.randint(1, 2)))
        kept = [text for text in range(count) if text not in gone]
        rows = [None if text in gone else kept.index(text) for text in range(count)]
    return rows
