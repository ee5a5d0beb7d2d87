"""Pooling on a page: readouts side by side, the padding trap, and what a linear layer makes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from bertlens.read.readout import POOLINGS, Readout
from bertlens.run.condition import Condition
from bertlens.run.presets import TRAP_TEXTS
from bertlens.run.texts import Texts
from ui import address, blocks, questions
from ui.frame import Page, at_once

if TYPE_CHECKING:
    from bertlens.judge.pooling import Poolings
    from bertlens.judge.trap import PaddingTrap

TRAPS = {"case": "Two short sentences", "own": "Your texts"}
TRAPPED = ("mean_all", "mean", "cls", "max", "weightedmean", "lasttoken")
SEEDS = (0, 1, 2, 3, 4)
SIDE_BY_SIDE = 6
"""Readouts whose similarities stand side by side before anybody chose."""

SHAPES = {"last layer": "{}", "four layers, averaged": "{}@last4:mean", "four layers, joined": "{}@last4:concat"}


def listed(name: str) -> tuple[str, ...]:
    """A list that an address holds, each word once."""
    return tuple(dict.fromkeys(word.strip() for word in address.value(name).split(",") if word.strip()))


def chosen(usual: tuple[str, ...]) -> tuple[str, ...]:
    """The readouts to compare; those typed in are added, and a wrong one stays in the box with its reason."""
    asked = listed("readouts") or usual
    address.widget(
        st.multiselect,
        "Readouts",
        "readouts",
        shown=list(asked),
        options=list(dict.fromkeys([*usual, *asked])),
        accept_new_options=True,
        to_text=lambda values: "" if tuple(values) == usual else ",".join(values),
        help="pooling[@layers][|l2], for example mean@-2|l2 or cls@all:mean: type it and press Enter. Pooling: "
        + "; ".join(f"{name}: {words}" for name, words in POOLINGS.items()),
    )
    readouts = listed("readouts") or usual
    normalised = address.widget(
        st.toggle,
        "Normalise every vector to length 1 (|l2)",
        "l2",
        shown=address.value("l2") == "on",
        to_text=lambda on: "on" if on else "",
        help="Cosines do not change by it; dot products, distances and everything that learns from the vectors do.",
    )
    parsed = [Readout.parse(readout) for readout in readouts]
    if normalised:
        parsed = [replace(readout, l2=True) for readout in parsed]
    return tuple(dict.fromkeys(map(str, parsed)))


def options(found: Poolings) -> None:
    """Every readout with its shape, its norms, and what the checkpoint says of it."""
    from bertlens.judge.wording import number

    frame = pd.DataFrame(
        {
            "readout": found.readouts,
            "shape": [f"{option.texts} × {option.dimensions}" for option in found.options],
            "declared by the checkpoint": [option.declared for option in found.options],
            "meaningless here": [option.meaningless for option in found.options],
            "moved by padding": ["" if not option.by_padding else number(option.by_padding) for option in found.options],
            "mean norm": [option.norm_mean for option in found.options],
            "smallest": [option.norm_min for option in found.options],
            "largest": [option.norm_max for option in found.options],
            "what it is": [POOLINGS[Readout.parse(readout).pooling] for readout in found.readouts],
        }
    )
    blocks.table(frame, "bertlens-readouts", document=found)


@at_once
def agreement(found: Poolings) -> None:
    """How far every two readouts agree about which texts are alike."""
    from bertlens.show import pooling

    st.subheader("Which readouts agree?", anchor="agreement")
    if len(found.compared) < 3:
        st.info("Agreement is about which texts are alike: it needs three texts or more.", icon=":material/info:")
        return
    measures, asked = list(pooling.MEASURES), address.value("agree")
    address.widget(
        st.segmented_control,
        "By",
        "agree",
        shown=asked if asked in measures else measures[0],
        options=measures,
        required=True,
        help="; ".join(f"{name}: {words}" for name, (words, _) in pooling.MEASURES.items()),
    )
    measure = address.value("agree") if address.value("agree") in measures else measures[0]
    words = f"Every readout against every other: {pooling.MEASURES[measure][0]}."
    st.caption(words)
    blocks.figure(pooling.agreement(found, measure), "bertlens-agreement", found.pairs(), words=words)


@at_once
def alike(found: Poolings, texts: Texts) -> None:
    """Which texts are alike under each readout, on one scale, and the nearest text of each."""
    from bertlens.show import pooling

    st.subheader("Which texts are alike?", anchor="alike")
    if len(found.compared) < 2:
        st.info("One text has no other to be like. Give two or more.", icon=":material/info:")
        return
    asked = tuple(readout for readout in listed("shown") if readout in found.readouts)
    panels = asked or found.readouts[:SIDE_BY_SIDE]
    address.widget(
        st.multiselect,
        "Side by side",
        "shown",
        shown=list(panels),
        options=list(found.readouts),
        max_selections=pooling.PANELS,
        to_text=",".join,
    )
    low, high = found.shared_range(list(panels))
    words = f"Cosine between every two texts under each readout, on one scale from {low:.2f} to {high:.2f}."
    st.caption(words)
    table = pd.concat(
        [pooling.neighbours(found, texts, readout, 1).assign(readout=readout) for readout in panels], ignore_index=True
    )
    blocks.figure(pooling.similarities(found, texts, panels), "bertlens-alike", table, words=words, tabled=False)
    st.markdown("**The nearest text of each**")
    blocks.table(table[["readout", *table.columns.drop("readout")]], "bertlens-nearest")


def trap(given: Page) -> tuple[PaddingTrap, Texts]:
    """Each pooling at growing padding, with its verdict; what was found, and for which texts."""
    from bertlens.show import pooling

    st.subheader("The padding trap", anchor="trap")
    own = address.one_of("Padded are", "trap", list(TRAPS), format_func=TRAPS.get) == "own"
    texts = given.texts if own else TRAP_TEXTS
    if texts is TRAP_TEXTS:
        st.caption("“" + "” and “".join(TRAP_TEXTS) + "”, padded further and further with the right mask, against each alone.")
    found = questions.padding_trap(given, texts, TRAPPED)
    blocks.sentence(found)
    blocks.notes(found.notes)
    frame = found.to_frame()
    numbers = ("max_abs", "max_abs_float64")
    blocks.figure(pooling.padding_trap(found), "bertlens-trap", frame, words=found.sentence, numbers=numbers)
    return found, texts


@at_once
def linear(texts: Texts, found: Poolings) -> tuple[Readout, int]:
    """Into a freshly drawn linear layer: shapes, logits, and that the next draw gives others; the readout and the classes."""
    from bertlens.show import pooling

    st.subheader("Into a linear layer", anchor="linear")
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    names = [name for name, option in zip(found.readouts, found.options, strict=True) if not option.meaningless]
    asked = address.value("readout")
    with left:
        shown = asked if asked in names else names[0] if names else found.readouts[0]
        picked = address.widget(st.selectbox, "Readout", "readout", shown=shown, options=names or list(found.readouts))
    with right:
        classes = int(
            address.widget(
                st.number_input,
                "Classes",
                "classes",
                shown=address.number("classes", 1000, 5, first=1),
                min_value=1,
                max_value=1000,
                step=1,
            )
        )
    fresh = found.fresh(picked, classes, SEEDS)
    st.warning(blocks.plain(fresh.sentence), icon=":material/casino:")
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(f"**From the hidden states to the logits, by {blocks.plain(picked)}**")
        steps = pd.DataFrame(
            {
                "step": [step.what for step in fresh.steps],
                "axes": [" × ".join(step.axes) for step in fresh.steps],
                "shape": [" × ".join(map(str, step.shape)) for step in fresh.steps],
            }
        )
        blocks.table(steps, "bertlens-steps")
    with right:
        st.markdown("**The layer that each readout needs**")
        needed = pd.DataFrame(
            {
                "readout": found.readouts,
                "vectors": [f"{option.texts} × {option.dimensions}" for option in found.options],
                "layer": [f"torch.nn.Linear({option.dimensions}, {classes})" for option in found.options],
                "logits": [f"{option.texts} × {classes}" for option in found.options],
            }
        )
        blocks.table(needed, "bertlens-needed")
    words = f"Logits of text 0 under {len(fresh.seeds)} freshly drawn layers (seeds {', '.join(map(str, fresh.seeds))})."
    blocks.figure(pooling.fresh(fresh, texts), "bertlens-logits", fresh.to_frame(), words=words)
    return Readout.parse(picked), classes


def costs(given: Page, found: Poolings, condition: Condition) -> None:
    """What each readout costs beside the forward pass, measured."""
    from bertlens.show import pooling

    st.markdown("**What each readout costs**")
    took = questions.pooling_costs(given, condition, found.readouts)
    st.caption(blocks.plain(took.sentence))
    blocks.figure(pooling.costs(took), "bertlens-costs", took.to_frame(), words=took.sentence)
