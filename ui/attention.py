"""Attention on a page: all heads, one head as a map, one token's row, padding, and two of them side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from bertlens.run.condition import Condition
from bertlens.run.texts import sides as sentences
from ui import address, blocks, questions
from ui.conditions import SIDES, presets
from ui.frame import Page, at_once, section
from ui.pictures import Point

if TYPE_CHECKING:
    from bertlens.judge.attention import Attention
    from bertlens.show.attention import Panel

MEASURES = {
    "entropy": "Entropy",
    "to_cls": "To [CLS]",
    "to_sep": "To [SEP]",
    "to_padding": "To padding",
    "to_self": "To itself",
    "to_previous": "To the previous",
    "to_next": "To the next",
    "distance": "Distance",
}
BESIDE = {"text": "Another text", "conditions": "Another condition"}
OVERVIEW, MAP, ROW = "bertlens-heads", "bertlens-attention", "bertlens-attention-row"
TABLED = 128
"""Tokens up to which a map stands as a table on the page; of longer ones the download holds all."""


def chosen_text(given: Page) -> int:
    """The text whose attention is shown, with its words."""
    text = _number("Text number", "text", len(given.texts) - 1, 0)
    st.caption(blocks.plain(" ||| ".join(sentences(given.texts[text]))[:300]))
    return text


def _number(label: str, name: str, last: int, default: int) -> int:
    """A number of 0 … last that a link may name wrongly; no widget where there is no choice."""
    shown = address.number(name, last, default)
    if not last:
        return 0
    return int(address.widget(st.number_input, label, name, shown=shown, min_value=0, max_value=last, step=1, width=200))


@at_once
def heads(given: Page, found: Attention, condition: Condition) -> tuple[str, int, int | str, int]:
    """All heads, one of them as a map, and the row of one of its tokens; the measure, layer, head and token chosen."""
    measure, layer, head = _view(found)
    _overview(found, measure, layer, head)
    token = 0
    with section():
        token = _map(given, found, condition, layer, head)
    return measure, layer, head, token


def _view(found: Attention) -> tuple[str, int, int | str]:
    measure = address.one_of("Measure of the overview", "measure", list(MEASURES), format_func=MEASURES.get)
    left, right = st.columns(2)
    with left:
        layers = [str(layer) for layer in range(1, found.layers + 1)]
        layer = _option("Layer", "layer", layers, layers[-1], lambda name: f"layer {name} (attentions[{int(name) - 1}])")
    with right:
        head = _option("Head", "head", _heads(found), "mean", _head_name)
    return measure, int(layer), int(head) if head.isdecimal() else head


def _heads(found: Attention) -> list[str]:
    from bertlens.judge.attention import VIEWS

    return [*VIEWS, *(str(head) for head in range(1, found.heads + 1))]


def _head_name(name: str) -> str:
    from bertlens.judge.attention import VIEWS

    return VIEWS.get(name, f"head {name}")


def _option(label: str, name: str, options: list[str], default: str, words: Any) -> str:
    shown = address.value(name) if address.value(name) in options else default
    return str(address.widget(st.selectbox, label, name, shown=shown, options=options, format_func=words))


def _overview(found: Attention, measure: str, layer: int, head: int | str) -> None:
    from bertlens.read.attention import MEASURES as MEANING
    from bertlens.show import attention as pictures

    st.subheader("Every head of every layer", anchor="heads")
    left, right = st.columns(2, gap="medium")
    with left:
        words = (
            f"{MEANING[measure][0].upper()}{MEANING[measure][1:]}; a mean over the real tokens. Click a head to see its map."
        )
        st.caption(words)
        chosen = (layer, head) if isinstance(head, int) else None
        picture = pictures.overview(found.read.measures[measure], measure, chosen)
        blocks.figure(picture, OVERVIEW, found.to_frame(), words=words, document=found, on_click=_pick_head)
    with right:
        words = "Where the attention of each layer rests: lines are means of its heads, bands from the smallest to the largest."
        st.caption(words)
        blocks.figure(pictures.resting(found), "bertlens-resting", pictures.resting_frame(found), words=words)


def _map(given: Page, found: Attention, condition: Condition, layer: int, head: int | str) -> int:
    from bertlens.show import attention as pictures

    st.subheader("Which token looks at which", anchor="map")
    token = _token(found)
    shown = pictures.panel(_with_layer(given, found, condition, layer, head), layer, head)
    words = (
        f"{shown.title}: rows are the tokens that look, columns what they look at, and each row sums to 1. Colours follow the "
        f"square root of the weight.{_rollout(head)}"
    )
    st.caption(f"{words} Click a cell to take the token of its row below.")
    picture, frame = pictures.token_map(shown, token), pictures.map_frame(shown)
    blocks.figure(picture, MAP, frame, words=words, tabled=len(found.tokens) <= TABLED, on_click=_pick_token)
    words = f"What token {shown.rows[token]} looks at, and which tokens look at it, in {shown.title}."
    st.caption("Click a bar to take its token.")
    blocks.figure(pictures.row(shown, token), ROW, pictures.row_frame(shown, token), words=words, on_click=_pick_bar)
    return token


def _rollout(head: int | str) -> str:
    from bertlens.read.attention import IDENTITY

    if head != "rollout":
        return ""
    return f" Rollout multiplies the layers' mean maps, each mixed with {IDENTITY} of the identity for the residual stream."


def _with_layer(given: Page, found: Attention, condition: Condition, layer: int, head: int | str) -> Attention:
    """The result that holds the maps of the layer; only a text of too many weights is run again for it."""
    if isinstance(head, str) or layer - 1 in found.read.maps:
        return found
    return questions.attention_of_layer(given, found.text, condition, layer)


def _token(found: Attention) -> int:
    names = [f"{at} {token}" for at, token in enumerate(found.tokens)]
    places = [str(at) for at in range(len(names))]
    return int(_option("Token", "token", places, "0", lambda place: names[int(place)]))


def padding(given: Page, found: Attention) -> int | None:
    """The text in a padded row, with the mask and without it; the length of the row, None where no padding fits."""

    st.subheader("Does anybody look at padding?", anchor="padding")
    length, most = len(found.tokens), questions.longest(given)
    if length >= most:
        st.info(f"The text fills all {most} positions, so that no padding fits. Choose a shorter one.", icon=":material/info:")
        return None
    shown = address.number("padded", most, min(2 * length, most), first=length + 1)
    bounds: dict[str, Any] = {"min_value": length + 1, "max_value": most, "step": 1, "width": 200}
    width = int(address.widget(st.number_input, "Padded to so many tokens", "padded", shown=shown, **bounds))
    look = questions.attention_to_padding(given, found.text, width)
    st.markdown(blocks.plain(look.sentence))
    st.caption(
        "The softmax gives a masked position exactly 0. Without the mask padding is read as if it were text, and what the "
        "tokens of the text become changes with the length of the row."
    )
    sides = {"mask on": look.masked, "mask off": look.unmasked}
    _heads_beside(sides, "to_padding", None, "bertlens-padding")
    return width


def beside(given: Page, found: Attention, condition: Condition, measure: str, layer: int, head: int | str) -> None:
    """Two texts, or one under two conditions: all heads, and the chosen one as a map, on one range each."""
    st.subheader("Two side by side", anchor="beside")
    options = list(BESIDE) if len(given.texts) > 1 else ["conditions"]
    kind = address.one_of("Compare with", "beside", options, format_func=BESIDE.get)
    if kind == "text":
        count = len(given.texts)
        other = _number("The other text", "other", count - 1, (found.text + 1) % count)
        chosen, conditions = {f"Text {found.text}": found}, [condition, condition]
        chosen[f"Beside it: text {other}"] = questions.attentions(given, (other, condition))[0]
    else:
        presets(given.checkpoint().max_length)
        conditions = [Condition.parse(address.value(side)) for side in SIDES]
        titles = [f"{side.capitalize()}: {how.words}" for side, how in zip(SIDES, conditions, strict=True)]
        pair = questions.attentions(given, *((found.text, how) for how in conditions))
        chosen = dict(zip(titles, pair, strict=True))
    whole = zip(chosen.items(), conditions, strict=True)
    sides = {title: _with_layer(given, one, how, layer, head) for (title, one), how in whole}
    st.caption(
        f"{MEASURES[measure]} of every head; below it the map: {_map_name(layer, head)}. Both sides share their colours."
    )
    _heads_beside(sides, measure, (layer, head) if isinstance(head, int) else None, "bertlens-beside")
    _maps_beside(sides, layer, head)


def _map_name(layer: int, head: int | str) -> str:
    from bertlens.show.attention import name_of

    return name_of(layer, head)


def _heads_beside(sides: dict[str, Attention], measure: str, chosen: tuple[int, int] | None, name: str) -> None:
    """The measure of every head of both sides, on one range."""
    from bertlens.show import attention as pictures

    values = {title: side.read.measures[measure] for title, side in sides.items()}
    largest = pictures.largest_of(*values.values())
    for number, (column, title) in enumerate(zip(st.columns(2, gap="medium"), sides, strict=True), start=1):
        with column:
            st.markdown(f"**{blocks.plain(title)}**")
            st.caption(blocks.plain(sides[title].sentence))
            picture = pictures.overview(values[title], measure, chosen, largest)
            words = f"{MEASURES[measure]} of every head, {title}. {sides[title].sentence}"
            blocks.figure(picture, f"{name}-{number}", sides[title].to_frame(), words=words)


def _maps_beside(sides: dict[str, Attention], layer: int, head: int | str) -> None:
    """One head of both sides as maps, on one range."""
    from bertlens.show import attention as pictures

    shown = [pictures.panel(side, layer, head, title) for title, side in sides.items()]
    largest = pictures.largest_of(*(one.values for one in shown))
    st.caption(_apart(shown))
    for number, (column, one) in enumerate(zip(st.columns(2, gap="medium"), shown, strict=True), start=1):
        with column:
            words = f"{_map_name(layer, head)}, {one.title}: rows look, columns are looked at."
            picture, frame = pictures.token_map(one, largest=largest, tallest=pictures.HALF), pictures.map_frame(one)
            blocks.figure(picture, f"bertlens-map-{number}", frame, words=words, tabled=len(one.rows) <= TABLED)


def _apart(shown: list[Panel]) -> str:
    """How far two maps of the same tokens lie apart at most."""
    from bertlens.judge.wording import number

    left, right = shown
    if left.rows != right.rows:
        return "Their tokens differ, so the weights are not subtracted."
    count = len(left.rows)
    most = float(abs(left.values[:, :count] - right.values[:, :count]).max())
    return f"Between the same two tokens their weights differ by at most {number(most)}."


def texts(given: Page) -> None:
    """Where the attention of every text rests."""
    st.subheader("All texts", anchor="texts")
    found = questions.attention_of_texts(given)
    st.markdown(blocks.plain(found.sentence))
    if len(found.tokens) < found.of:
        st.caption(f"Measured are the first {len(found.tokens):,} of {found.of:,} texts.")
    st.caption("Means over all heads of all layers. Choose a text above by its number to see its heads.")
    blocks.table(found.to_frame(), "bertlens-attention-texts", numbers=("row sums to 1 within",))


def eager(given: Page, text: int) -> None:
    """What switching to eager attention changes, with its verdict."""
    from bertlens.read.readout import Readout

    st.subheader("What does eager attention change?", anchor="eager")
    checkpoint = given.checkpoint()
    st.caption(
        "Only plain matrix products make the weights that are shown here; PyTorch's fused kernels (sdpa) never hold them. This "
        "page therefore runs an instance of its own with eager attention; the model of every other page stays as it is."
    )
    if "sdpa" not in checkpoint.architecture.attentions:
        kind = checkpoint.architecture.kind
        st.info(f"Nothing: {kind} has no other attention than eager.", icon=":material/info:")
        return
    fused, plain = (Condition(attention=name, max_length=questions.longest(given)) for name in ("sdpa", "eager"))
    blocks.verdict(questions.compare(given, fused, plain, Readout("cls"), given.texts[text : text + 1]))


def _pick_head(point: Point) -> None:
    address.change(layer=str(int(point["y"])), head=str(int(point["x"])))


def _pick_token(point: Point) -> None:
    address.change(token=str(point["y"]).partition(" ")[0])


def _pick_bar(point: Point) -> None:
    place, _, token = str(point["x"]).partition(" ")
    if not token.startswith("padding × "):  # padding is looked at, and has no row of its own
        address.change(token=place)
