import streamlit as st

from bertlens.read.readout import Readout
from bertlens.run.condition import Condition
from ui import address, blocks, questions
from ui.conditions import choose
from ui.frame import Page, drawn_so_far, section, show
from ui.parting import parting
from ui.pictures import Point

DIFFERENCES = "bertlens-differences"
SIZES = ("max_abs", "max_abs_float64", "l2", "alone", "left without it")


def per_text(given: Page, comparison) -> None:
    from bertlens.show import differences, tables

    st.subheader("Text by text", anchor="texts")
    if comparison.verdict != "identical":
        st.caption(
            "Rounding falls with the precision: computed in float64, its hollow point lies below the dash. A fault stays where "
            "it is. Click a text to look closer at it."
        )
        words = f"Largest difference of every text as run and in float64. {comparison.sentence}"
        picture = differences.comparison(comparison)
        frame = comparison.to_frame()
        blocks.figure(picture, DIFFERENCES, frame, words=words, tabled=False, on_click=_pick_text)
    blocks.table(tables.rows(comparison, given.texts), "bertlens-compare", numbers=SIZES, document=comparison)


def _pick_text(point: Point) -> None:
    address.change(text=str(point["x"]))


def causes(comparison) -> None:
    from bertlens.show import tables

    if comparison.verdict == "identical":
        return
    st.subheader("What causes it", anchor="causes")
    st.caption("Each factor that differs, changed alone; and what is left of the whole difference when only it is put back.")
    blocks.table(tables.causes(comparison), "bertlens-causes", numbers=SIZES)


def closer(given: Page, comparison, reference: Condition, candidate: Condition, readout: Readout) -> None:
    st.subheader("Look closer at one text", anchor="closer")
    text = chosen_text(len(given.texts), comparison.worst.text)
    st.caption(
        blocks.plain(" ||| ".join([given.texts[text]] if isinstance(given.texts[text], str) else given.texts[text])[:300])
    )
    with section():
        st.markdown("**Where do the two runs part?**")
        parting(given, text, reference, candidate, as_run=comparison.verdict in ("rounding", "identical"))
    with section():
        sweep(given, text, candidate, readout)


def chosen_text(count: int, worst: int) -> int:
    asked = address.value("text")
    shown = int(asked) if asked.isdigit() and int(asked) < count else worst
    if count == 1:
        return 0
    return int(
        address.widget(st.number_input, "Text number", "text", shown=shown, min_value=0, max_value=count - 1, step=1, width=200)
    )


def sweep(given: Page, text: int, candidate: Condition, readout: Readout) -> None:
    from bertlens.show import figures

    st.markdown("**What does the padded length do?**")
    found = questions.sweep(given, text, candidate, readout)
    st.markdown(blocks.plain(found.sentence))
    frame, numbers = found.to_frame(), tuple(found.to_frame().columns[1:])
    blocks.figure(figures.padding_sweep(found), "bertlens-padding", frame, words=found.sentence, numbers=numbers)


def python(given: Page, reference: Condition, candidate: Condition, readout: Readout) -> None:
    from bertlens.show import script

    checkpoint = given.checkpoint()
    facts = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    code = script.comparison_script(given.name, given.texts, reference, candidate, readout, **facts)
    blocks.same_in_python(code, blocks.command(given.name, reference, candidate, readout), "bertlens_compare")


def content(given: Page) -> None:
    checkpoint = given.checkpoint()
    reference, candidate, read = choose(checkpoint.max_length)
    readout = Readout.parse(read)
    comparison = questions.compare(given, reference, candidate, readout)
    blocks.verdict(comparison)
    blocks.findings(comparison.findings)
    drawn_so_far()
    per_text(given, comparison)
    causes(comparison)
    closer(given, comparison, reference, candidate, readout)
    python(given, reference, candidate, readout)


show("Batch and padding", "The same text gives two vectors: is it rounding or a fault, and what causes it?", content)
