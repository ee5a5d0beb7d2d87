"""Frame: what every page has around its content: title, question, sidebar, and one way to show what went wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from bertlens.errors import BertlensError
from bertlens.run.texts import Texts
from ui import address, memory
from ui.blocks import plain
from ui.progress import working
from ui.sidebar import sidebar

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint


P = ParamSpec("P")
T = TypeVar("T")
ICON = Path(__file__).with_name("icon.svg")


READABLE = """<style>
[data-testid=stCaptionContainer] {opacity: 0.85 !important}
[data-testid=stMarkdownContainer] blockquote, [data-testid=stMarkdownContainer] blockquote p {color: inherit; opacity: 0.9}
</style>"""
"""Streamlit fades captions and quotations to 0.6, which leaves too little contrast for small type (WCAG asks for 4.5 : 1)."""

DRAWN = 0.3
"""Seconds that a browser has for drawing what was clicked, before the rest of the page arrives."""

WRITTEN = 0.15
"""The same for a verdict and its findings, which are text."""


class Stopped(Exception):
    """The visitor cancelled, so there is nothing to show below."""


@dataclass(frozen=True)
class Page:
    """What a page is given: the checkpoint's name and the texts, and the loaded checkpoint when it asks."""

    name: str
    texts: Texts

    def checkpoint(self) -> Checkpoint:
        """The loaded checkpoint; loading and downloading show their progress."""
        found = working(("load", self.name), f"Loading {self.name}", lambda progress: memory.checkpoint(self.name, progress))
        if found is None:
            raise Stopped
        return found


def show(title: str, question: str, content: Callable[[Page], None]) -> None:
    """Draw a page: its frame, then its content; an expected failure becomes one sentence, with everything typed kept."""
    st.set_page_config(page_title=f"{title} · bertlens", page_icon=str(ICON), layout="wide")
    address.restore()
    st.html(READABLE)
    st.title(title)
    st.markdown(f"**{question}**")
    with section():
        name, texts = sidebar()
        if address.texts_left_out():
            st.caption(":material/link_off: The texts are too long for a link; copy them along with it.")
        content(Page(name, texts))


@contextmanager
def section() -> Iterator[None]:
    """A part of a page that can fail or be cancelled while the rest of the page goes on."""
    try:
        yield
    except BertlensError as error:
        st.error(plain(error.sentence), icon=":material/error:")
    except Stopped:
        return


def drawn_so_far() -> None:
    """Let the browser draw what stands already; figures that arrive in the same moment would keep the answer waiting."""
    time.sleep(WRITTEN)


def at_once(draw: Callable[P, T]) -> Callable[P, T]:
    """A part of a page that is drawn again as soon as one of its own controls changes; the whole page follows right after.

    For parts that only draw: a click does not interrupt work that runs inside of one, so nothing could be cancelled there.
    """

    @st.fragment
    @wraps(draw)
    def part(*given: P.args, **named: P.kwargs) -> T:
        context = get_script_run_ctx()
        if context is None or not context.fragment_ids_this_run:
            return draw(*given, **named)
        with section():
            draw(*given, **named)
        time.sleep(DRAWN)
        return st.rerun()  # the address, the links and what other parts show depend on the same controls

    return part
