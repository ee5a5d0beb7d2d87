"""Lens: an expression typed by a person, what it holds, what is wrong with it, and each of its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from bertlens.errors import BertlensError
from bertlens.run.condition import Condition
from ui import address, blocks, questions
from ui.examples import EXAMPLES
from ui.frame import Page

if TYPE_CHECKING:
    from pandas import DataFrame

    from bertlens.judge.expression.explained import Explained
    from bertlens.judge.findings import Finding
    from bertlens.read.capture import Capture
    from bertlens.read.expression.explanation import Step
    from bertlens.show.held import Held

MOST_UNDONE = 20
"""Expressions that can be brought back after an example or a correction took their place."""

MOST_SHOWN = 100
"""Rows of the values in the browser; the download has more."""

MONOSPACE = "<style>.st-key-edit_expr textarea { font-family: monospace; font-size: 0.95rem; line-height: 1.5; }</style>"


def put(expression: str) -> None:
    """Put an expression into the box; what stood there can be brought back."""
    before = address.value("expr")
    if before.strip() and before != expression:
        st.session_state["expr_before"] = [*st.session_state.get("expr_before", []), before][-MOST_UNDONE:]
    address.change(expr=expression)


def back() -> None:
    """What stood in the box before."""
    before = st.session_state.get("expr_before", [])
    if before:
        st.session_state["expr_before"] = before[:-1]
        address.change(expr=before[-1])


def box() -> str:
    """Draw the examples and the box; the expression that stands in it."""
    st.html(MONOSPACE)
    for column, (question, examples) in zip(st.columns(len(EXAMPLES)), EXAMPLES.items(), strict=True):
        with column:
            _examples(question, examples)
    address.widget(
        st.text_area,
        "Your expression, as it stands in your code",
        "expr",
        height=104,
        placeholder="outputs.last_hidden_state[:, 0, :]",
        help="It may have several lines; the value of the last one is the result. There are `outputs`, `last_hidden_state`, "
        "`hidden_states`, `pooler_output`, `inputs`, `attention_mask`, `torch`, `np`, `F` and `nn`. Ctrl+Enter evaluates it. "
        "It is read, never run as Python.",
    )
    before = st.session_state.get("expr_before", [])
    if before:
        st.button("Back to what was typed", key="expr_back", on_click=back, icon=":material/undo:", help=_quoted(before[-1]))
    return address.value("expr")


def _examples(question: str, examples: dict[str, str]) -> None:
    key, now = f"example_{question}", address.value("expr")
    st.session_state[key] = next((name for name, expression in examples.items() if expression == now), None)

    def take() -> None:
        if st.session_state[key] is not None:
            put(examples[st.session_state[key]])

    st.pills(question, list(examples), key=key, on_change=take, format_func=blocks.plain, wrap=True)


def _quoted(expression: str) -> str:
    line = expression if len(expression) < 200 else expression[:199] + "…"
    return blocks.plain(line)


def answer(given: Page, expression: str, condition: Condition) -> Explained | None:
    """Draw what an expression holds; None where there is nothing to evaluate, or it lies outside the language."""
    if not expression.strip():
        st.info(
            "Type or paste what reads your vectors, for example `outputs.last_hidden_state[:, 0, :]`, or choose an example.",
            icon=":material/edit:",
        )
        return None
    from bertlens.read.expression.errors import ExpressionError

    capture = questions.capture(given, condition)
    try:
        found = questions.explain(given, expression, condition)
    except ExpressionError as error:
        _refused(error)
        return None
    if capture.batch < capture.given:
        st.caption(f":material/info: Evaluated on the first {capture.batch:,} of {capture.given:,} texts: more do not fit.")
    _result(found, capture)
    _steps(found, capture)
    _values(found, capture)
    return found


def _refused(error: BertlensError) -> None:
    """What lies outside the language: the sentence, the place, and the nearest legal form."""
    st.error(blocks.plain(error.sentence), icon=":material/error:")
    st.code(getattr(error, "caret", ""), language=None)
    suggestion = getattr(error, "suggestion", "")
    if suggestion:
        st.markdown("**Did you mean**")
        _offered(suggestion, "suggestion")


def _offered(code: str, name: str) -> None:
    """An expression with a button that puts it into the box."""
    st.code(code, language="python", wrap_lines=True)
    st.button("Use this", key=f"use_{name}", on_click=put, args=(code,), icon=":material/north_west:")


def _result(found: Explained, capture: Capture) -> None:
    """The verdict, what is wrong, and beside it the cube; then token by token."""
    from bertlens.show import cells, cube, held

    left, right = st.columns([5, 4], gap="medium")
    failure, step = found.failure, found.result
    with left:
        blocks.sentence(found)
        if failure is not None:
            _stopped(found)
        elif step is not None:
            if step.shape:
                st.markdown(f"##### {_shaped(step.axes, step.shape)}")
            st.caption(", ".join(filter(None, [step.form if step.bytes else "", step.dtype, _memory(step.bytes)])))
        for at, finding in enumerate(found.findings):
            _finding(finding, at)
        for note in found.notes:
            st.caption(f":material/info: {blocks.plain(note)}")
    if step is None:
        return
    lit = held.of_step(step, capture, found.expression) if failure is not None else held.of_result(found.trace, capture)
    if not lit.cells.any():
        sources = ", ".join(step.provenance.sources)
        where = f"; it comes from {blocks.plain(sources)}" if sources else ""
        right.caption(f"No cell of the hidden states is in it{where}.")
        return
    frame = cells.cells_frame(lit)
    with right:
        _cube(lit, "bertlens-cube", step, frame)
        if failure is not None:
            st.caption("What was there before it stopped.")
        _caption(lit, cube.left_out(lit))
    _strips(lit, "bertlens-cells", step, frame)
    _caption(lit, cells.left_out(lit))


def _cube(lit: Held, name: str, step: Step, frame: DataFrame) -> None:
    """The block; its table is that of the strips below it."""
    from bertlens.show import cube

    blocks.figure(cube.cube(lit), name, frame, words=f"The cells as a block: {step.words}.", tabled=False, zoom=False)


def _strips(lit: Held, name: str, step: Step, frame: DataFrame) -> None:
    from bertlens.show import cells

    blocks.figure(cells.cells(lit), name, frame, words=f"The cells token by token: {step.words}.", zoom=False)


def _caption(lit: Held, left_out: str) -> None:
    exact = "" if lit.exact else "Some of the lit cells may not be in it: texts, tokens and layers are known each by itself. "
    if exact or left_out:
        st.caption(blocks.plain(exact + left_out))


def _finding(finding: Finding, at: int) -> None:
    blocks.findings([finding], lambda one: _use(one, at))


def _use(finding: Finding, at: int) -> None:
    if finding.code and finding.code != address.value("expr"):
        code = finding.code
        st.button("Use this", key=f"use_{at}", on_click=put, args=(code,), icon=":material/north_west:", type="primary")


def _stopped(found: Explained) -> None:
    """Where PyTorch, numpy or Python refused, with their own words."""
    from bertlens.read.expression.errors import ExpressionError

    failure = found.failure
    assert failure is not None
    pointed = ExpressionError("", place=failure.place, source=found.expression).caret
    st.code(f"{pointed}\n{failure.message}", language=None, wrap_lines=True)
    st.markdown(blocks.plain(failure.words))


def _steps(found: Explained, capture: Capture) -> None:
    """Every part in the order of evaluation; a click on one shows its cells."""
    from bertlens.show import cells, cube, held
    from bertlens.show.steps import steps_frame

    st.subheader("Step by step", anchor="steps")
    steps = found.steps
    if not steps:
        st.caption("It stopped at its first part.")
        return
    st.caption("In the order of evaluation. Click a line to see what that part holds.")
    frame = steps_frame(steps)
    event = st.dataframe(
        frame,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"table_steps_{hash((found.expression, len(steps))):x}",
        height=min(38 + 35 * len(frame), 360),
        column_config={
            "part": st.column_config.TextColumn(width="medium"),
            "holds": st.column_config.TextColumn(width="large"),
        },
    )
    with st.container(horizontal=True):
        blocks.download("Steps (CSV)", "bertlens-steps.csv", lambda: frame.to_csv(index=False), "text/csv")
        blocks.whole("bertlens-expression.json", found)
    chosen = event["selection"]["rows"]
    if not chosen or chosen[0] >= len(steps):
        return
    step = steps[chosen[0]]
    lit = held.of_step(step, capture, found.expression)
    with st.container(border=True):
        st.code(step.expression, language="python", wrap_lines=True)
        st.markdown(f"**{_shaped(step.axes, step.shape)}.** {blocks.plain(step.words)}")
        if lit.cells.any():
            cell_by_cell = cells.cells_frame(lit)
            _cube(lit, "bertlens-step-cube", step, cell_by_cell)
            _caption(lit, cube.left_out(lit))
            _strips(lit, "bertlens-step-cells", step, cell_by_cell)
            _caption(lit, cells.left_out(lit))


def _values(found: Explained, capture: Capture) -> None:
    """The numbers, as a picture and as a table."""
    from bertlens.show import values

    array = values.array_of(found.trace)
    if found.failure is not None or array is None:
        return
    st.subheader("Values", anchor="values")
    if not array.ndim:
        st.metric("The value", f"{array.item():.6g}")
        return
    if not array.size:
        st.caption("There is no value in it: an axis has length 0.")
        return
    picture, frame = values.values(found.trace, capture), values.value_frame(found.trace, capture)
    if picture is not None:
        blocks.figure(picture, "bertlens-values", frame, words=values.range_of(array), tabled=False)
    if left := values.left_out(found.trace):
        st.caption(blocks.plain(left))
    with st.expander("The values as a table", icon=":material/table:"):
        st.dataframe(frame.head(MOST_SHOWN), hide_index=True, key="table_values")
        rows = array.size // array.shape[-1] if array.ndim > 1 else len(array)
        if rows > MOST_SHOWN:
            kept = f", the download {len(frame):,}" if len(frame) < rows else ""
            st.caption(f"The table shows the first {MOST_SHOWN} of {rows:,} rows{kept}.")


def _shaped(axes: tuple[str, ...], shape: tuple[int, ...]) -> str:
    if not shape:
        return "A single value"
    named = " × ".join(axes) + " = " if len(axes) == len(shape) else ""
    return blocks.plain(named + " × ".join(f"{size:,}" for size in shape))


def _memory(size: int) -> str:
    if not size:
        return ""
    for unit, bound in (("bytes", 1_000), ("kB", 1_000_000), ("MB", 1_000_000_000)):
        if size < bound:
            return f"{size / (bound / 1_000):,.{0 if unit == 'bytes' else 1}f} {unit}"
    return f"{size / 1e9:,.1f} GB"
