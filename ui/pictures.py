"""Pictures: what a figure needs of the visitor's browser: PNG and SVG by the plotly.js that has drawn it, and clicks.

A server would need a browser of its own for the pictures. A figure is saved as it stands there, zoomed and in its theme.
Clicks are taken here because Streamlit's own selection knows points and bars, not the cells of a map.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

Point = dict[str, Any]
"""A clicked point: `x`, `y`, `curve` and `index` (numbers of its trace and of the point in it) and `customdata`."""

BUTTONS = """
<button type="button" data-format="png">PNG</button>
<button type="button" data-format="svg">SVG</button>
<span role="status"></span>
"""

LOOK = """
:host, div { display: inline-flex; flex-wrap: wrap; align-items: center; gap: 0.5rem; }
button {
  font: inherit; font-size: 0.875rem; color: var(--st-text-color); cursor: pointer;
  background: color-mix(in srgb, var(--st-background-color), white 4%);
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius);
  min-height: 2.5rem; padding: 0.25rem 0.75rem;
}
button:hover, button:focus-visible { color: var(--st-primary-color); border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
span:empty { display: none; }
"""

SAVE = """
export default function ({ parentElement, data, setTriggerValue }) {
  const { figure, row, name, words, clicks } = data
  const group = parentElement.host?.closest(`.st-key-${row}`)
  group?.setAttribute("role", "group")
  group?.setAttribute("aria-label", `Downloads of the figure: ${words}`)
  const status = parentElement.querySelector("[role=status]")
  for (const button of parentElement.querySelectorAll("button")) {
    const format = button.dataset.format
    button.setAttribute("aria-label", `${button.textContent} of the figure ${name}`)
    button.onclick = async () => {
      const graph = document.querySelector(`.st-key-${figure} .js-plotly-plot`)
      status.textContent = ""
      try {
        await window.Plotly.downloadImage(graph, { format, filename: name, scale: format === "png" ? 2 : 1 })
      } catch (error) {
        status.textContent = `The picture could not be made: ${error?.message ?? error}`
      }
    }
  }
  return clicks ? followed(figure, (point) => setTriggerValue("clicked", point)) : undefined
}

function followed(figure, tell) {
  const clicked = ({ points: [point] }) => {
    const { x, y, curveNumber: curve, pointIndex: index, customdata } = point
    tell({ x, y, curve, index, customdata })
  }
  const heard = () => {  // the graph is made after this, and made anew where the page is laid out anew
    const graph = document.querySelector(`.st-key-${figure} .js-plotly-plot`)
    if (!graph?.on) return
    if (graph.told) graph.removeListener("plotly_click", graph.told)
    graph.on("plotly_click", (graph.told = clicked))
  }
  heard()
  const watch = new MutationObserver(heard)
  const place = document.querySelector(`.st-key-${figure}`)
  if (place) watch.observe(place, { childList: true, subtree: true })
  return () => watch.disconnect()
}
"""

_buttons = st.components.v2.component("bertlens.pictures", html=BUTTONS, css=LOOK, js=SAVE)


def buttons(figure: str, row: str, *, name: str, words: str, on_click: Callable[[Point], None] | None = None) -> None:
    """Two buttons that save a figure as `name`.png and `name`.svg.

    Parameters
    ----------
    figure, row : keys of the chart and of the container in which all its downloads stand.
    words : what the figure says; read out as the name of that container.
    on_click : called with the point that was clicked in the figure.
    """
    key = f"{row}_pictures"

    def clicked() -> None:
        if on_click is not None and (point := st.session_state[key]["clicked"]):
            on_click(point)

    told = {"figure": figure, "row": row, "name": name, "words": words, "clicks": on_click is not None}
    _buttons(key=key, data=told, width="content", on_clicked_change=clicked)
