"""Head on a page: the way of one text from [CLS] to the answer; another class or layer does not run the model again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui import address, blocks
from ui.frame import Page, at_once
from ui.layers import text_number

if TYPE_CHECKING:
    from bertlens.judge.head import Head


def chosen(given: Page) -> tuple[int, str, int]:
    """Which text, which kind of head and which token are looked at."""
    from bertlens.run.headed import KINDS, kind_of

    declared = kind_of(given.checkpoint().model.config)
    first = declared or next(iter(KINDS))
    kinds = [first, *(kind for kind in KINDS if kind != first)]
    note = "as the config declares" if declared else "none is declared"

    def words(kind: str) -> str:
        return KINDS[kind].words + (f" ({note})" if kind == first else "")

    kind = address.one_of("Head", "kind", kinds, format_func=words)
    text = text_number(len(given.texts))
    return text, kind, address.number("token", given.checkpoint().max_length, 0)


def drawn(found: Head) -> None:
    """In front of numbers that hang on weights which nobody trained: that they do."""
    if found.drawn:
        names = ", ".join(dict.fromkeys(name.rpartition(".")[0] for name in found.drawn))
        st.markdown(f":red-badge[:material/casino: newly initialised: {blocks.plain(names)}] Numbers of a random draw.")


def cls(found: Head) -> None:
    """The first token, its row in the embedding matrix, and the other special tokens."""
    from bertlens.show import head_tables

    st.subheader("[CLS] is a token like any other", anchor="cls")
    same = "is exactly" if found.is_row else "is NOT"
    row = next((row for row in found.rows if row.id == found.ids[0]), None)
    where = "" if row is None else f" (norm {row.norm:.4f}, number {row.rank:,} of {row.of:,} by length)"
    st.caption(
        f"Position 0 holds {blocks.plain(found.tokens[0])}, id {found.ids[0]}. What the embedding layer looks up for it {same} "
        f"row {found.ids[0]} of the embedding matrix{where}: the same vector in front of every text. What it knows about the "
        "sentence, it reads in the layers."
    )
    blocks.table(head_tables.special_tokens(found), "bertlens-special-tokens")
    with st.expander(f"The row of this text: {len(found.tokens)} tokens with their segments", icon=":material/list:"):
        blocks.table(head_tables.tokens(found), "bertlens-head-tokens")


def way(found: Head) -> None:
    """The head step by step, with the check by hand and a histogram of each step."""
    from bertlens.judge.wording import number
    from bertlens.show import head as pictures
    from bertlens.show import head_tables

    st.subheader("From the last hidden state to the answer", anchor="steps")
    drawn(found)
    again = found.by_hand
    with st.container(horizontal=True):
        st.metric(
            "By hand, max abs", number(again.gap), help="Logits recomputed from the weights, against the model's", width=180
        )
        in_float64 = "not repeated" if again.gap_float64 is None else number(again.gap_float64)
        st.metric("The same in float64", in_float64, help="Rounding falls with the precision, a fault stays", width=180)
        saturated = next((step.saturation for step in found.steps if step.saturation is not None), None)
        if saturated is not None:
            share = f"{100 * saturated:.1f} %"
            st.metric("tanh above 0.99", share, help="Saturated units hardly move and pass hardly any gradient", width=180)
    at = (
        ""
        if found.answers is None
        else f" Values are those of position {found.position} ({blocks.plain(found.tokens[found.position])})."
    )
    st.caption(
        f"Every call of {found.cls} after `last_hidden_state`, in the order of the calls, each recomputed by hand from the "
        f"step before.{at}"
    )
    st.dataframe(
        head_tables.steps(found),
        hide_index=True,
        key="table_bertlens-steps",
        column_config={name: st.column_config.NumberColumn(format="%.2e") for name in ("max abs", "max abs in float64")}
        | {name: st.column_config.NumberColumn(format="%.4f") for name in ("norm", "smallest", "largest")},
    )
    words = "How the values of every step of the head are distributed over its units."
    if found.drawn:
        words += " Hatched: the weights of this step are newly initialised."
    blocks.figure(pictures.histograms(found), "bertlens-histograms", head_tables.values(found), words=words, document=found)


def outputs(found: Head) -> None:
    """Fields and shapes, and the best answers of a head over tokens."""
    from bertlens.show import head_tables

    assert found.answers is not None
    st.subheader("What this head returns", anchor="outputs")
    drawn(found)
    blocks.table(head_tables.fields(found), "bertlens-fields")
    captions = {
        "masked-lm": "The likeliest tokens for every mask; choose another position by its number below.",
        "token": "The likeliest label of every token.",
        "question": "The likeliest spans: start logit plus end logit, the start not behind the end. Of a pair, spans of the "
        "second sentence.",
    }
    st.caption(captions[found.kind])
    if found.kind == "masked-lm":
        last = len(found.tokens) - 1
        address.widget(
            st.number_input, "Position", "token", shown=found.position, min_value=0, max_value=last, step=1, width=200
        )
    blocks.table(found.answers.to_frame(), "bertlens-answers")


@at_once
def answer(found: Head) -> int:
    """The logits, and what makes up that of one class: that of the link, else the predicted one; which class."""
    at = _label(found)
    _answer(found, at)
    return at


def _label(found: Head) -> int:
    st.subheader("The answer, and what makes it", anchor="answer")
    drawn(found)
    shown = address.number("label", len(found.labels) - 1, found.predicted)
    options = list(range(len(found.labels)))
    names = [f"{name} (predicted)" if at == found.predicted else name for at, name in enumerate(found.labels)]
    return int(
        address.widget(st.selectbox, "Class", "label", shown=shown, options=options, format_func=names.__getitem__, width=300)
    )


def _answer(found: Head, at: int) -> None:
    from bertlens.judge.wording import number
    from bertlens.show import head as pictures
    from bertlens.show import head_tables

    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**The same head on [CLS] and on the mean**")
        frame = head_tables.answers(found)
        words = "Logits and probabilities of every class with [CLS] and with the mean of all tokens in the head's place."
        if len(found.labels) > pictures.CLASSES:
            st.info(
                f"{len(found.labels):,} classes are too many to draw; up to {pictures.CLASSES} are.", icon=":material/info:"
            )
            blocks.table(frame, "bertlens-classes")
        elif not found.replaced:
            st.info("This head takes no single vector that could be replaced.", icon=":material/info:")
        else:
            blocks.figure(pictures.answer(found), "bertlens-classes", frame, words=words)
    with right:
        st.markdown("**What makes up this logit**")
        if found.contributions is None:
            st.info("The last step is no linear layer of one vector, so its logits have no parts.", icon=":material/info:")
            return
        gap = number(found.contribution_gap(at))
        words = f"Parts xᵢ·W[c, i] of the logit {found.logits[at]:.4f}; with the bias they add up to it (max abs {gap})."
        st.caption(words)
        blocks.figure(pictures.contributions(found, at), "bertlens-contributions", found.contribution(at), words=words)


def mean(found: Head, given: Page) -> None:
    """The masked mean in the place of [CLS], step by step and for all texts."""
    from bertlens.show import head as pictures
    from bertlens.show import head_tables

    st.subheader("Why not the mean of the hidden states?", anchor="mean")
    if not found.replaced or found.predictions is None:
        st.info("This head reads every token, so there is no vector to replace.", icon=":material/info:")
        return
    drawn(found)
    changed, count = int(found.predictions.changed.sum()), len(found.predictions.changed)
    takes = {"cls": "[CLS]", "mean": "the mean", "other": "neither of the two"}[found.taken]
    flips = f"Of {count} texts, {changed} get another class with the other vector. " if found.activation else ""
    st.markdown(
        f"Nothing forbids it: the weights take any vector of this width. This head was made for {takes}. {flips}"
        "Which one is better is measured on labels, not argued: a head must be trained on the vector that it is to read."
    )
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.markdown("**The same steps, side by side**")
        blocks.table(head_tables.side_by_side(found), "bertlens-side-by-side")
    with right:
        st.markdown("**All texts**")
        words = "For every text, how far the class that [CLS] gives leads with [CLS] and with the mean."
        frame = head_tables.predictions(found, given.texts)
        blocks.figure(pictures.scatter(found), "bertlens-predictions", frame, words=words)
