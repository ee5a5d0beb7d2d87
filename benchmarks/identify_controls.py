"""Negative controls for `benchmarks.identify`: vectors that no recipe of the checkpoint made, close to them or far away."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from transformers import AutoModel

from benchmarks import recipes
from benchmarks.identify_draws import Drawn, Models, draft_of
from benchmarks.identify_texts import drawn, text
from benchmarks.recipes import ByHand, Text
from bertlens.read.recipe import Recipe

BACKGROUND = 48
"""Other texts, from which directions of principal components are taken."""


@dataclass(frozen=True)
class Given:
    """What a control starts from.

    Attributes
    ----------
    vectors : what the recipe makes, (texts, dims), float32.
    of : the vectors of any texts by the same recipe; with a model, by that one.
    """

    draw: random.Random
    models: Models
    family: str
    model_seed: int
    texts: tuple[Text, ...]
    vectors: np.ndarray
    of: Callable[..., np.ndarray]

    @property
    def model(self) -> Any:
        """The model in float32, shared: to be copied before it is changed."""
        return self.models.by_hand(self.family, self.model_seed).model("float32")


class Other(ByHand):
    """The same tokenizer with another model."""

    def __init__(self, base: ByHand, model: Any) -> None:
        super().__init__(base.folder)
        self._other = model.eval()

    def model(self, dtype: str, attention: str = "sdpa", *, dropout: bool = False, head: bool = False) -> Any:
        """The other model in float32, whatever is asked for."""
        return self._other


def fresh(given: Given) -> Any:
    """The same architecture with weights of another draw."""
    if given.family != "minilm":
        return given.models.by_hand(given.family, given.model_seed + 10).model("float32")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(given.draw.randint(0, 10**6))
        return AutoModel.from_config(given.model.config)


def noisy(given: Given) -> Any:
    """Every weight matrix moved by 1 % of its spread."""
    model = copy.deepcopy(given.model)
    generator = torch.Generator().manual_seed(given.draw.randint(0, 10**6))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight += 0.01 * weight.std() * torch.randn(weight.shape, generator=generator)
    return model


def tuned(given: Given) -> Any:
    """Five steps of Adam with a learning rate of 2e-5, towards vectors in random directions."""
    model = copy.deepcopy(given.model).requires_grad_(True)
    generator = torch.Generator().manual_seed(given.draw.randint(0, 10**6))
    target = torch.randn(len(given.texts), model.config.hidden_size, generator=generator)
    tokenizer = given.models.by_hand(given.family, given.model_seed).tokenizer
    inputs = tokenizer([text if isinstance(text, str) else text[0] for text in given.texts], padding=True, return_tensors="pt")
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-5)
    with torch.enable_grad():
        for _ in range(5):
            vectors = model(**inputs).last_hidden_state.mean(1)
            loss = -torch.nn.functional.cosine_similarity(vectors, target).mean()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return model.requires_grad_(False)


def components(given: Given) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, directions and spreads of the vectors of other texts; the directions are a basis of the whole space."""
    tokenizer = given.models.by_hand(given.family, given.model_seed).tokenizer
    others = given.of(drawn(given.draw, tokenizer, BACKGROUND, [], most=30))
    mean = others.mean(0)
    _, spreads, directions = np.linalg.svd(others - mean, full_matrices=True)
    wide = np.zeros(len(directions))
    wide[: len(spreads)] = spreads / np.sqrt(len(others))
    return mean, directions, wide


def whitened(given: Given) -> np.ndarray:
    mean, directions, spreads = components(given)
    return (given.vectors - mean) @ directions.T / np.sqrt(spreads**2 + 1e-3 * (spreads**2).max())


def whitened_by_themselves(given: Given) -> np.ndarray:
    """As scikit-learn does with the given texts alone: one component fewer than texts."""
    mean = given.vectors.mean(0)
    left, _, _ = np.linalg.svd(given.vectors - mean, full_matrices=False)
    return left[:, : len(given.vectors) - 1] * np.sqrt(len(given.vectors) - 1)


def rotated(given: Given) -> np.ndarray:
    return given.vectors @ components(given)[1].T


def of_other_texts(given: Given) -> np.ndarray:
    """Vectors of texts that are not among those given."""
    found: list[str] = []
    while len(found) < len(given.texts):
        said = text(given.draw)
        found += [said] if said not in given.texts and len(said.split()) < 25 and said not in found else []
    return given.of(tuple(found))


def gaussian(given: Given) -> np.ndarray:
    return np.random.default_rng(given.draw.randint(0, 10**6)).normal(
        given.vectors.mean(), given.vectors.std(), given.vectors.shape
    )


CONTROLS: dict[str, Callable[[Given], np.ndarray]] = {
    "another draw of the weights": lambda given: given.of(given.texts, fresh(given)),
    "weights moved by 1 %": lambda given: given.of(given.texts, noisy(given)),
    "five steps of Adam": lambda given: given.of(given.texts, tuned(given)),
    "whitened by other texts": whitened,
    "whitened by these texts": whitened_by_themselves,
    "rotated to principal components": rotated,
    "random Gaussian": gaussian,
    "vectors of other texts": of_other_texts,
    "mean with another model's": lambda given: (given.vectors + given.of(given.texts, fresh(given))) / 2,
}
"""Every control with the function that makes its vectors."""
STORES = ("", "", "float16", "4")


def of_control(seed: int, index: int, models: Models, lines: list[str]) -> Drawn:
    """The control of a number: always the same for the same seed and texts."""
    name = list(CONTROLS)[index % len(CONTROLS)]
    draw = random.Random(f"{seed}-control-{index}")
    draft, model_seed = draft_of(draw, models, lines)
    recipe = Recipe(readout=replace(draft.recipe.readout, pooling=draw.choice(["cls", "mean"]), layers="-1", combine=""))
    by_hand = models.by_hand(draft.family, model_seed)

    def of(texts: tuple[Text, ...], model: Any = None) -> np.ndarray:
        return recipes.raw(by_hand if model is None else Other(by_hand, model), texts, recipe)

    given = Given(draw, models, draft.family, model_seed, draft.texts, of(draft.texts), of)
    vectors = np.asarray(CONTROLS[name](given), np.float32)
    recipe = replace(recipe, post=replace(recipe.post, store=draw.choice(STORES)))
    vectors = recipes.stored(vectors, recipe.post).astype(np.float32)
    rows = tuple(range(len(draft.texts)))
    return Drawn(draft.family, model_seed, draft.texts, recipe, "same", (), (), given.vectors, vectors, rows, control=name)
