"""Texts for `benchmarks.identify`: sentences of every length, drawn from templates, so that another seed gives other texts."""

from __future__ import annotations

import random
from typing import Any

from benchmarks.recipes import Text

NAMES = (
    "Ada Lovelace",
    "the committee",
    "Dr. Osei",
    "our landlord",
    "Marie",
    "a neighbour",
    "NASA",
    "the translator",
    "Li Wei",
)
DEEDS = ("measured", "forgot", "painted", "sold", "described", "repaired", "weighed", "photographed", "borrowed", "lost")
THINGS = (
    *("the old bridge", "a violin", "three letters", "the red door", "an Atlas of Europe", "two engines", "the recipe"),
    *("a grain of salt", "his grandfather's clock", "the BERT paper", "every window", "a map of Lagos"),
)
PLACES = ("in Paris", "near the harbour", "on the 3rd floor", "at 7:45 p.m.", "under the stairs", "in room B-12", "by the Nile")
WHYS = (
    *("because it rained", "although nobody asked", "for $1,250.50", "in less than 20 minutes", "without a word"),
    *("since the train was late", "as the manual says", "to win a bet of 5 euros"),
)
ENDS = (".", ".", ".", "!", "?", "; that was all.", " (see page 214).", " — at last.")
LINKS = (" Later, ", " Then ", " In 1987 ", " But ", " Meanwhile, ", " However, ")
SHORT = ("Yes.", "Good morning!", "It is late.", "Why not?", "42", "No idea, sorry.", "OK", "Thank you, Anna.")


def sentence(draw: random.Random) -> str:
    """One sentence of about 4 to 20 words."""
    parts = [draw.choice(NAMES), draw.choice(DEEDS), draw.choice(THINGS)]
    parts += [draw.choice(PLACES)] if draw.random() < 0.6 else []
    parts += [draw.choice(WHYS)] if draw.random() < 0.5 else []
    return " ".join(parts) + draw.choice(ENDS)


def text(draw: random.Random) -> str:
    """Anything from one word to a paragraph."""
    if draw.random() < 0.15:
        return draw.choice(SHORT)
    said = sentence(draw)
    while draw.random() < 0.5:
        said += draw.choice(LINKS) + sentence(draw)
    return (said[0].upper() if draw.random() < 0.8 else said[0]) + said[1:]


def drawn(
    draw: random.Random, tokenizer: Any, count: int, given: list[str], *, most: int, pairs: bool = False
) -> tuple[Text, ...]:
    """Different texts of mixed length, at least one short and one of about `most` tokens; of `given` lines if there are any."""
    most = most // 2 if pairs else most
    found: list[str] = []
    while len(found) < count:
        said = draw.choice(given) if given else draw.choice(SHORT) if not found else text(draw)
        while not given and len(found) == 1 and len(tokenizer.tokenize(said)) < most:
            said += draw.choice(LINKS) + sentence(draw)
        said = cut(said, tokenizer, most)
        if said not in found:
            found.append(said)
    draw.shuffle(found)
    if not pairs:
        return tuple(found)
    return tuple((first, cut(text(draw), tokenizer, most)) for first in found)


def cut(said: str, tokenizer: Any, most: int) -> str:
    """The first words of a text, so that it has no more tokens than that without its special tokens."""
    words = said.split()
    while len(words) > 1 and len(tokenizer.tokenize(" ".join(words))) > most:
        words.pop()
    return " ".join(words)
