"""Lookup on a page: the vectors before the first layer part by part, fed back, padded, timed; segments and positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from bertlens.read.readout import Readout
from bertlens.run.condition import Condition
from bertlens.run.texts import sides
from ui import address, blocks, questions
from ui.frame import Page, at_once

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from bertlens.judge.lookup import Lookup

POOLINGS = ("cls", "mean", "max", "mean_content", "weightedmean", "lasttoken", "mean_sqrt_len_tokens", "first_position")
"""Poolings that a text alone and a text in a batch share."""

MOST_TEXTS = 20
"""Texts whose segments are exchanged: each is run alone, twice, and again in float64."""


def parts(found: Lookup) -> None:
    """Every vector that is added, with its length and its direction, and every step against the model's own tensor."""
    from bertlens.show import lookup as pictures

    st.subheader("What is added up", anchor="parts")
    st.caption(
        "Every vector was caught in the model while it ran, in the order in which it adds them, with dropout off; then added, "
        "normalised and projected again by hand."
    )
    blocks.table(_steps(found), "bertlens-steps")
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**How long each vector is**")
        words = f"L2 length of {', '.join(found.norms)} of every token."
        blocks.figure(pictures.norms(found), "bertlens-lookup-norms", found.to_frame(), words=words, document=found)
    with right:
        st.markdown("**Which way they point**")
        if not found.cosines:
            st.info("Only the word vector is looked up, so there is nothing to compare it with.", icon=":material/info:")
            return
        words = "Cosine of every two vectors that are added, and of each with their sum, token by token."
        frame = found.to_frame()
        kept = frame[["position", "token", *(f"cosine {pair}" for pair in found.cosines)]]
        blocks.figure(pictures.cosines(found), "bertlens-lookup-cosines", kept, words=words)


def _steps(found: Lookup) -> pd.DataFrame:
    """One line per part and step: what it is, where, and how far the hand is from the model."""
    lines = [
        {
            "what": f"{part.role} vector",
            "module": part.module,
            "shape": _shape(part.values),
            "rows of the table": f"{part.rows:,}",
        }
        for part in found.embedding.parts
    ]
    steps = found.embedding.steps
    for at, step in enumerate(steps):
        same = " = hidden_states[0]" if at == len(steps) - 1 else ""
        lines.append(
            {
                "what": step.name + same,
                "module": step.module,
                "shape": _shape(step.values),
                "max abs to the model": repr(step.max_abs),
            }
        )
    return pd.DataFrame(lines).fillna("")


def _shape(values: np.ndarray) -> str:
    return " × ".join(map(str, values.shape))


@at_once
def one_token(found: Lookup) -> int:
    """Every unit of the vectors of one token; which token it is."""
    from bertlens.show import lookup as pictures

    st.markdown("**The vectors of one token**")
    names = [f"{at} {token}" for at, token in enumerate(found.tokens)]
    options = list(range(len(names)))
    shown = address.number("token", len(names) - 1, 0)
    token = int(
        address.widget(st.selectbox, "Token", "token", shown=shown, options=options, format_func=names.__getitem__, width=300)
    )
    words = f"Every unit of the vectors that are added for token {names[token]}, of their sum, and of what follows it."
    st.caption(blocks.plain(f"{words} Colours end at the largest unit up to the sum; the pointer shows every value."))
    frame = pd.DataFrame({name: pd.Series(values[token]) for name, values in found.vectors.items()})
    frame.insert(0, "unit", range(len(frame)))
    blocks.figure(pictures.vectors(found, token), "bertlens-lookup-vectors", frame, words=words)
    return token


def fed_back(found: Lookup) -> None:
    """What the model makes of its own vectors."""
    from bertlens.judge.trial import frame_of

    st.subheader("Fed back as inputs_embeds", anchor="fed")
    roles = [part.role for part in found.embedding.parts if part.role != "word"]
    added = f"the {' and the '.join(roles)} vectors are added a second time, and " if roles else ""
    other = "the output of the embedding module" if found.embedding.factorised else "hidden_states[0]"
    st.caption(
        f"`inputs_embeds` takes the place of the lookup alone. Where {other} is passed, {added}the sum is normalised again. "
        "All tokens of last_hidden_state are compared."
    )
    if found.alone is not None:
        st.caption(
            f"The embedding module run alone, without any layer, gives the same vectors (max abs {found.alone!r}): it turns "
            "any `inputs_embeds` into full embeddings, given segments and positions."
        )
    frame = frame_of(found.fed).rename(columns={"name": "passed as inputs_embeds"})
    blocks.table(frame, "bertlens-fed-back", numbers=("max_abs", "max_abs_float64", "cls_max_abs"))


def padding(given: Page, text: int) -> None:
    """Whether vectors of a padded row are given the positions that its ids are."""
    from bertlens.show import lookup as pictures

    st.subheader("Padding that vectors do not show", anchor="padding")
    found = questions.padded_vectors(given, text)
    blocks.sentence(found)
    st.caption(
        f"The text with {found.padding} padding tokens beside it, with the right mask, as ids and as `inputs_embeds`; real "
        "tokens are compared."
    )
    numbers = ("max_abs", "max_abs_float64", "cls_max_abs")
    if not found.positions:
        blocks.table(found.to_frame(), "bertlens-padded", numbers=numbers)
        return
    words = f"Position that every place of the row was given, from ids and from vectors. {found.sentence}"
    blocks.figure(pictures.positions(found), "bertlens-padded", found.to_frame(), words=words, numbers=numbers)
    if found.verdict == "problem":
        st.markdown("**Remedy.** Count the positions where the ids are still known, and pass them along:")
        st.code(
            "real = batch['attention_mask']\n"
            f"position_ids = (real.cumsum(1) + {_padding_row(found)}) * real + {_padding_row(found)} * (1 - real)\n"
            "out = model(inputs_embeds=vectors, attention_mask=real, position_ids=position_ids)",
            language="python",
        )


def _padding_row(found: object) -> int:
    """The position that the model gives to padding, as it was seen."""
    positions = found.positions  # type: ignore[attr-defined]
    return int(positions["left", "ids"][0])


def cost(given: Page) -> None:
    """The lookup alone against a full pass."""
    from bertlens.show import lookup as pictures

    st.subheader("What the lookup costs", anchor="cost")
    found = questions.lookup_cost(given)
    st.markdown(blocks.plain(found.sentence))
    st.caption(
        "Medians of runs in turns on this server, after a first one that is not counted. The share is what carries over."
    )
    blocks.figure(pictures.cost(found), "bertlens-lookup-cost", found.to_frame(), words=found.sentence)


def pooling() -> str:
    """The pooling by which texts are compared here."""
    return address.one_of("One vector per text by", "pooling", list(POOLINGS))


def segments(given: Page) -> None:
    """token_type_ids of ones on every text, judged like any other two conditions."""
    st.subheader("Segments all ones", anchor="segments")
    facts = given.checkpoint().architecture
    if facts.segments < 2:
        has = "a segment table of one row" if facts.segments else "no segment table"
        st.info(f"This model has {has}, so token_type_ids of ones cannot be passed.", icon=":material/info:")
        return
    st.caption(
        "`token_type_ids` of ones say: everything here is the second sentence. Each text alone, as the tokenizer says against "
        f"all ones, read by {blocks.plain(address.value('pooling'))}."
    )
    readout = address.value("pooling") if address.value("pooling") in POOLINGS else "cls"
    conditions = (Condition.parse("batch=alone"), Condition.parse("batch=alone,segments=ones"))
    chosen = given.texts[:MOST_TEXTS]
    if len(chosen) < len(given.texts):
        st.caption(f":material/info: The first {MOST_TEXTS} of {len(given.texts):,} texts are run, each alone.")
    found = questions.compare(given, *conditions, Readout.parse(readout), chosen)
    blocks.verdict(found)
    numbers = ("max_abs", "l2", "max_abs_float64", "bound_float64")
    blocks.table(found.to_frame(), "bertlens-segments", numbers=numbers, document=found)


def own_positions(given: Page) -> None:
    """Sentence pairs with positions that begin anew at the second sentence."""
    st.subheader("Positions of one's own", anchor="positions")
    facts = given.checkpoint().architecture
    if not facts.takes_positions:
        st.info("This model takes no position_ids.", icon=":material/info:")
        return
    if all(len(sides(text)) < 2 for text in given.texts):
        st.info(
            "With two sentences in one input, `position_ids` can count each from its own start. Tick “Each line is a pair of "
            "sentences” in the sidebar to see what that does.",
            icon=":material/info:",
        )
        return
    found = questions.own_positions(given)
    blocks.sentence(found)
    numbers = ("max_abs", "max_abs_float64", "cls_max_abs")
    blocks.table(found.to_frame(), "bertlens-own-positions", numbers=numbers, document=found)
    if found.left_out:
        st.caption(f":material/info: Not run: {len(found.left_out):,} texts beyond the first pairs, or without two sentences.")


def python(given: Page, found: Lookup, edits: str, vectors: Mapping[str, np.ndarray], token: int) -> None:
    """The script of what is shown, and the calls of the core."""
    from bertlens.show.lookup_script import lookup_script

    checkpoint = given.checkpoint()
    code = lookup_script(
        given.name,
        given.texts,
        found,
        architecture=checkpoint.architecture,
        max_length=checkpoint.max_length,
        edits=edits,
        vectors=vectors,
        padded=questions.padded_vectors(given, found.text),
        pooling=address.value("pooling") if address.value("pooling") in POOLINGS else POOLINGS[0],
        token=token,
        near="dot" if address.value("near") == "dot" else "cosine",
    )
    st.subheader("The same in Python", anchor="python")
    st.caption("Needs only torch and transformers, and prints the same numbers.")
    blocks.script(code, "bertlens_lookup")
    calls = f"bertlens.lookup(checkpoint, texts, {found.text})\nbertlens.edit(checkpoint, texts, {found.text}, edits={edits!r})"
    st.code(calls, language="python", wrap_lines=True)
