"""Shares on a page: what reaches [CLS] and the logit from every token, and how far dropout scatters it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from bertlens.run.condition import Condition
from ui import address, blocks, questions
from ui.frame import Page, at_once
from ui.head import drawn

if TYPE_CHECKING:
    from bertlens.judge.cls_attention import ClsAttention
    from bertlens.judge.head import Head
    from bertlens.judge.token_shares import TokenShares

STEPS = ("20", "50", "100", "300")
"""Points on the path of integrated gradients that a page offers."""

LONG = 128
"""Tokens from which on the shares are computed only when somebody asks, because each takes a pass of its own."""


def dropout(given: Page, found: Head, text: int) -> None:
    """Twenty draws of dropout beside the logits without it."""
    from bertlens.show import head as pictures

    st.subheader("Dropout left on", anchor="dropout")
    drawn(found)
    runs = questions.head_dropout(given, text)
    (st.warning if runs.active else st.info)(blocks.plain(runs.sentence), icon=":material/casino:")
    if runs.rates:
        rates = ", ".join(f"{rate:g} in {count} modules" for rate, count in runs.rates.items())
        st.caption(f"Dropout above zero: {rates}. It belongs to training; `model.eval()` turns it off.")
    if len(runs.labels) <= pictures.CLASSES:
        blocks.figure(pictures.dropout(runs), "bertlens-dropout", runs.to_frame(), words=runs.sentence)
    else:
        blocks.table(runs.to_frame(), "bertlens-dropout")


def reach(given: Page, text: int) -> None:
    """What [CLS] attends to, and how far it moves."""
    from bertlens.show import head_tables, shares
    from bertlens.show import token_layers as layers

    st.subheader("How the sentence gets into [CLS]", anchor="reach")
    found = questions.cls_attention(given, text)
    st.markdown(blocks.plain(found.sentence))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.markdown("**Attention from [CLS], mean of the heads**")
        st.caption("Colours follow the square root of the weight.")
        words = "What [CLS] attends to in every layer, averaged over the heads."
        blocks.figure(shares.by_layer(found), "bertlens-cls-layers", head_tables.attention(found), words=words)
    with right:
        st.markdown("**Heads that read the sentence**")
        words = "How much of its attention [CLS] gives to word pieces, for every layer and head."
        blocks.figure(shares.heads(found), "bertlens-cls-heads", head_tables.heads(found), words=words)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _one_layer(found)
    with right:
        st.markdown("**How far [CLS] moves**")
        path = questions.token_path(given, text, Condition())
        words = "How far [CLS] moves from one hidden state to the next, over its length before."
        table = path.to_frame()
        line = table[table["position"] == 0]
        blocks.figure(layers.token_lines(path, "change", (0,)), "bertlens-cls-change", line, words=words)


@at_once
def _one_layer(found: ClsAttention) -> None:
    from bertlens.show import shares

    layer = _layer(found)
    st.caption("Colours follow the square root of the weight, up to the largest in this layer.")
    words = f"What [CLS] attends to in every head of layer {layer}."
    frame = found.to_frame()
    blocks.figure(shares.by_head(found, layer), "bertlens-cls-head", frame[frame["layer"] == layer], words=words)


def _layer(found: ClsAttention) -> int:
    last = len(found.values)
    shown = address.number("layer", last, last, first=1)
    options = list(range(1, last + 1))
    return int(address.widget(st.selectbox, "Heads of layer", "layer", shown=shown, options=options, width=200))


def parts(given: Page, found: Head, text: int, at: int) -> tuple[str, int]:
    """Each token's part in the logit; where the path begins and how many steps it has."""
    from bertlens.read.shares import BASELINES
    from bertlens.show import shares as pictures

    st.subheader("Which tokens make this logit?", anchor="shares")
    drawn(found)
    begins = "; ".join(f"{name}: {words}" for name, words in BASELINES.items())
    with st.container(horizontal=True, vertical_alignment="bottom"):
        baseline = address.one_of("Path begins at", "baseline", list(BASELINES), help=begins)
        steps = int(address.one_of("Steps", "steps", list(STEPS), default="50"))
    content = len(found.tokens) - sum(found.special)
    if len(found.tokens) > LONG and not _wanted(content, steps):
        return baseline, steps
    told = questions.token_shares(given, text, at, baseline, steps)
    st.markdown(blocks.plain(told.sentence))
    st.caption(
        f"Integrated gradients: along the straight path from the baseline ({BASELINES[baseline]}), special tokens and "
        f"positions kept. Occlusion: each word piece alone replaced by {blocks.plain(told.hidden)}. Both in units of the logit."
    )
    words = f"{told.sentence} Above zero a token speaks for the class, below against it."
    blocks.figure(pictures.parts(told), "bertlens-shares", told.to_frame(), words=words)
    _agreement(told)
    return baseline, steps


def _wanted(content: int, steps: int) -> bool:
    words = f"{content:,} word pieces are long: this takes {steps} passes forward and back and at least {content:,} forward."
    return st.toggle("Compute the shares of this text", help=words, key="shares_wanted")


def _agreement(told: TokenShares) -> None:
    from bertlens.show import shares as pictures

    if len(told.content) < 3:
        st.info("Fewer than three word pieces have no rank to agree on.", icon=":material/info:")
        return
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Do the two agree?**")
        words = "Every word piece by integrated gradients and by occlusion."
        blocks.figure(pictures.agreement(told), "bertlens-agreement", told.to_frame(), words=words)
    with right:
        st.markdown("**Whole words**")
        if told.words:
            blocks.table(told.word_frame(), "bertlens-words")
        else:
            st.info("This tokenizer does not tell which word pieces make a word.", icon=":material/info:")
