"""Progress: a bar and a cancel button that appear only when work takes long enough to be noticed."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from bertlens.run.progress import Progress

T = TypeVar("T")
PATIENCE = 0.5
"""Seconds before a bar appears."""


def working(values: Hashable, what: str, work: Callable[[Progress], T]) -> T | None:
    """Do `work(progress)` with a bar and a cancel button; None where the visitor cancelled work on these values.

    Any click interrupts the script at the next step of the bar, so cancelling takes as long as one forward pass.
    """
    name = f"{hash(values):x}"
    stopped = f"cancelled_{name}"
    place = st.empty()
    if st.session_state.get(stopped):
        with place.container(horizontal=True, vertical_alignment="center"):
            st.warning(f"Cancelled: {what}. Nothing you typed is lost.", icon=":material/cancel:")
            st.button("Run again", key=f"again_{name}", on_click=st.session_state.pop, args=(stopped, None))
        return None
    bar = _Bar(place, name, what, stopped)
    try:
        result = work(bar.tell)
    except Exception:  # told below, where the page ends; a click interrupts with what is no Exception
        place.empty()
        raise
    place.empty()
    return result


class _Bar:
    def __init__(self, place: DeltaGenerator, name: str, what: str, stopped: str) -> None:
        self._place, self._name, self._what, self._stopped = place, name, what, stopped
        self._start = self._last = time.monotonic()
        self._bar: DeltaGenerator | None = None

    def tell(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if self._bar is None and now - self._start < PATIENCE and total:
            return
        if self._bar is None:
            with self._place.container(border=True):
                self._bar = st.progress(0.0)
                st.button("Cancel", key=f"cancel_{self._name}", on_click=self._cancel, icon=":material/stop_circle:")
        elif now - self._last < 0.25:
            return
        self._last = now
        share = min(done / total, 1.0) if total else 0.0
        left = (now - self._start) * (1 - share) / share if share > 0.02 else None
        counted = f"{done:,} {what}" if done and not total else what  # how many there will be nobody knows yet
        told = f"{self._what}: {counted}" + (f", {_amount(done, total)}" if total else "")
        self._bar.progress(share, told + (f", about {left:.0f} s left" if left and left > 2 else ""))

    def _cancel(self) -> None:
        st.session_state[self._stopped] = True


def _amount(done: int, total: int) -> str:
    return f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB" if total > 1_000_000 else f"{done:,} of {total:,}"
