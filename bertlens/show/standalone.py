"""Standalone: a figure as one HTML file that needs no server and no network."""

from __future__ import annotations

import html
import re

import plotly.graph_objects as go

TEMPLATE = "plotly_white"
"""The figure's look outside the app, whose own template means nothing to another reader of the file."""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body {{ margin: 1rem; font: 16px/1.5 sans-serif; background: #fff; color: #16212b; }} figure {{ margin: 0; }}</style>
</head>
<body>
<figure aria-label="{words}">
<figcaption>{words}</figcaption>
{picture}
</figure>
</body>
</html>
"""


def standalone(figure: go.Figure, title: str, words: str = "") -> str:
    """A whole page with plotly.js in it (about 5 MB); it opens from a disk and asks nothing of other hosts.

    Parameters
    ----------
    title : of the page, and the name under which its own camera button saves the picture.
    words : what the figure says, in a sentence; it stands above the picture.

    What is in the figure may be anybody's text: plotly writes `<`, `>` and `/` of its JSON as escapes, so no token can end
    the script. Title and words are escaped here, and so is the file name, since plotly writes its settings as they are.
    """
    shown = go.Figure(figure).update_layout(template=TEMPLATE)
    config = {"displaylogo": False, "toImageButtonOptions": {"filename": re.sub(r"[^\w.-]+", "-", title)}}
    picture = shown.to_html(full_html=False, include_plotlyjs=True, include_mathjax=False, config=config)
    return PAGE.format(title=html.escape(title), words=html.escape(words or title), picture=picture)
