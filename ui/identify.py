"""Identify on a page: the vectors to explain, the recipe that was found, what is wrong with it, and what is left open."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING

import streamlit as st

from ui import address, blocks, questions, vectors
from ui.frame import Page

if TYPE_CHECKING:
    from bertlens.judge.identification import Identification
    from bertlens.run.foreign import Foreign

EXPLAINED = (
    "You have vectors from elsewhere (a service, a vector store, last year's job) and the texts they were made from, and your "
    "own code gives others. Put the texts into the box on the left and the vectors here. bertlens then runs the checkpoint in "
    "the ways in which people run it, right and wrong (masks, padding, special tokens, truncation, prompts, poolings, layers, "
    "normalisation, storage), and says which of them gives these very numbers, in which order the rows stand, and what to "
    "change to be correct."
)


def given(page: Page) -> tuple[Page, Foreign | None]:
    """Draw what is asked: where the vectors come from, their texts, and prompts; the page with the texts to use."""
    way = vectors.way()
    if way == "example":
        st.caption(
            "The example texts, as somebody saved them: averaged over the padding as well, in float16, two rows exchanged. "
            "Computed now, by this server, with this checkpoint."
        )
        found: Foreign | None = questions.faulty_example(page)
    else:
        found = vectors.uploaded() if way == "file" else vectors.pasted()
    if found is not None and found.texts and way != "example":
        beside = f"Use the {len(found.texts):,} texts that stand beside the vectors"
        own = not st.checkbox(beside, value=True, key=f"vectors_texts_{questions.digest(found)[:12]}")
    else:
        own = found is None or not found.texts
    address.widget(
        st.text_area,
        "Prompts that may stand before each text, one per line",
        "prompts",
        height=68,
        placeholder="query: ",
        help="Those that the checkpoint declares are tried anyway. Blanks at the end count.",
    )
    st.caption(":material/link: A link to this page carries the prompts and the texts, and not the vectors.")
    return (page if own or found is None else Page(page.name, found.texts)), found


def prompts() -> tuple[str, ...]:
    """The prompts in the box."""
    return tuple(line for line in address.value("prompts").split("\n") if line.strip())


def wanted(page: Page, found: Foreign | None) -> bool:
    """Draw the button; whether these vectors are to be explained now."""
    if address.value("vectors") == "example":
        return found is not None
    asked = (page.name, page.texts, found and questions.digest(found), prompts())
    left, right = st.columns([1, 3], vertical_alignment="center")
    with left:
        st.button(
            "Identify",
            type="primary",
            icon=":material/fingerprint:",
            disabled=found is None,
            on_click=lambda: st.session_state.update(identify_asked=asked),
        )
    with right:
        if found is not None and st.session_state.get("identify_asked") not in (None, asked):
            st.caption(":material/sync: Something was changed since: press the button to identify again.")
    return found is not None and st.session_state.get("identify_asked") == asked


def empty() -> None:
    """What the page does, and an example to try."""
    st.info(EXPLAINED, icon=":material/fingerprint:")
    st.button("Try an example", on_click=address.change, kwargs={"vectors": "example"}, icon=":material/science:")


def verdict(found: Identification) -> None:
    """The verdict in one sentence, and the numbers behind it."""
    from bertlens.judge.wording import number

    blocks.sentence(found)
    if found.best is not None:
        best = found.best
        cosine = "not a number" if math.isnan(best.cosine) else f"{best.cosine:.6f}"
        with st.container(horizontal=True):
            for label, shown, meaning in (
                ("Largest difference", number(best.max_abs), "Between the vectors and those that the recipe makes"),
                ("Explained by precision", number(best.floor), "The largest difference that the precision stated explains"),
                ("Cosine", cosine, "Mean cosine of the recipe's vectors with those given"),
                ("Recipes tried", f"{found.tried:,}", f"{found.passes:,} rows run through the model in {found.seconds:.1f} s"),
            ):
                st.metric(label, shown, help=meaning, width=165)
    blocks.notes(found.notes)


def recipe(found: Identification) -> None:
    """The recipe step by step, and the order of the rows."""
    from bertlens.show import identification as pictures

    if found.best is None:
        return
    st.subheader("The recipe" if found.verdict == "found" else "The nearest recipe", anchor="recipe")
    st.code(found.best.recipe.words, language=None, wrap_lines=True)
    blocks.table(pictures.steps(found.best.recipe), "bertlens-recipe", document=found)
    if words := found.linear.get("words"):
        st.caption(f":material/timeline: {blocks.plain(str(words))}")


def wrong(found: Identification) -> None:
    """What is wrong with the recipe and the vectors, and what to change to be correct."""
    if found.findings:
        st.subheader("What to change", anchor="findings")
        blocks.graded(found.findings)


def candidates(found: Identification) -> None:
    """Every recipe that came near, against what precision explains."""
    from bertlens.show import identification as pictures

    frame = found.candidates()
    if frame.empty:
        return
    st.subheader("Against the other recipes", anchor="candidates")
    words = (
        "Largest difference between the given vectors and those of each recipe, the best on top. What lies left of the dotted "
        "line is explained by the precision stated; what lies right of it is another computation."
    )
    st.caption(words)
    numbers = ("max_abs", "floor")
    blocks.figure(pictures.candidates(found), "bertlens-recipes", frame, words=words, numbers=numbers, document=found)


def rows(page: Page, found: Identification) -> None:
    """What is left of each row, and where each text stands."""
    from bertlens.show import identification as pictures

    if found.rows:
        st.subheader("Text by text", anchor="rows")
        words = "Largest difference between each text's row and its vector by the recipe; precision explains it up to the line."
        st.caption(words)
        frame, numbers = pictures.held(found, page.texts), ("max_abs", "floor")
        blocks.figure(pictures.rows(found), "bertlens-rows", frame, words=words, numbers=numbers)
    if found.row_of_text:
        st.subheader("Order", anchor="order")
        same = "The rows stand in the order of the texts."
        st.markdown(blocks.plain(found.order_words[:1].upper() + found.order_words[1:] or same))
        frame = pictures.order(found, page.texts)
        if (frame["how"] != "").any():
            blocks.table(frame, "bertlens-order")


def undecided(found: Identification) -> None:
    """What these texts cannot tell, and texts that would."""
    if not (found.undetermined or found.suggestions):
        return
    st.subheader("What these texts cannot tell", anchor="undetermined")
    for line in found.undetermined:
        st.markdown(f"- {blocks.plain(line)}")
    if found.suggestions:
        st.markdown("Vectors of these texts, made in the same way, would tell the remaining recipes apart:")
        st.code("\n".join(found.suggestions), language=None, wrap_lines=True)


def python(page: Page, found: Identification) -> None:
    """The recipe as a script, and the same in a shell and in Python."""
    from bertlens.show.recipe_script import recipe_script

    checkpoint = page.checkpoint()
    words = ["bertlens", "identify", page.name, "--texts", "texts.txt", "--vectors", "vectors.npy"]
    words += [part for prompt in prompts() for part in ("--prefix", prompt)]
    if found.best is not None:
        code = recipe_script(
            page.name,
            page.texts,
            found.best.recipe,
            architecture=checkpoint.architecture,
            max_length=checkpoint.max_length,
            rows=found.row_of_text or None,
        )
        blocks.same_in_python(code, shlex.join(words), "bertlens_recipe")
    more = f", prefixes={list(prompts())!r}" if prompts() else ""
    call = f'vectors = bertlens.read_vectors("vectors.npy")\nbertlens.identify(checkpoint, texts, vectors{more}).sentence'
    st.code(call, language="python", wrap_lines=True)
