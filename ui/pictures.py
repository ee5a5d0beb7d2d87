"""Pictures: a figure as PNG or SVG, made in the visitor's browser by the plotly.js that has drawn it.

A server would need a browser of its own for this. The figure is saved as it stands there, zoomed and in its theme.
"""

from __future__ import annotations

import streamlit as st

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
export default function ({ parentElement, data }) {
  const { figure, row, name, words } = data
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
}
"""

_buttons = st.components.v2.component("bertlens.pictures", html=BUTTONS, css=LOOK, js=SAVE)


def buttons(figure: str, row: str, *, name: str, words: str) -> None:
    """Two buttons that save a figure as `name`.png and `name`.svg.

    Parameters
    ----------
    figure, row : keys of the chart and of the container in which all its downloads stand.
    words : what the figure says; read out as the name of that container.
    """
    _buttons(key=f"{row}_pictures", data={"figure": figure, "row": row, "name": name, "words": words}, width="content")
