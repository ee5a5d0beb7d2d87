"""Order: in which order rows stand, in words."""

from __future__ import annotations

from collections.abc import Sequence

from bertlens.run.texts import Texts, sides


def in_words(rows: Sequence[int | None], texts: Texts, tokens: Sequence[int], count: int) -> str:
    """How the rows of `count` vectors hold the texts; "" where text i has row i.

    Parameters
    ----------
    rows : the row of each text, None where there is none.
    tokens : number of tokens of each text.
    """
    missing = [text for text, row in enumerate(rows) if row is None]
    said = []
    if missing:
        said.append(f"{_some('text', missing)} {'have' if len(missing) > 1 else 'has'} no row")
    free = sorted(set(range(count)) - {row for row in rows if row is not None})
    if free:
        said.append(f"{_some('row', free)} {'belong' if len(free) > 1 else 'belongs'} to no text")
    there = [(text, row) for text, row in enumerate(rows) if row is not None]
    moved = [(text, row) for text, row in there if text != row]
    if moved:
        said.insert(0, _moved(there, moved, texts, tokens, missing, count))
    return "; ".join(said)


def _moved(
    there: Sequence[tuple[int, int]],
    moved: Sequence[tuple[int, int]],
    texts: Texts,
    tokens: Sequence[int],
    missing: Sequence[int],
    count: int,
) -> str:
    if len(moved) == 2 and moved[0] == (moved[1][1], moved[1][0]):
        return f"rows {moved[0][0]} and {moved[1][0]} are swapped"
    in_order = sorted(there, key=lambda pair: pair[1])
    held = [text for text, _ in in_order]
    if missing and held == sorted(held):
        return "the rows that are left stand in the order of the texts"
    steps = {(row - text) % count for text, row in there}
    if len(steps) == 1 and not missing and len(there) > 2:
        (step,) = steps
        by = step if step <= count // 2 else step - count
        return f"every row stands {abs(by)} place{'s' * (abs(by) != 1)} {'later' if by > 0 else 'earlier'} than its text"
    if held == sorted(held, reverse=True):
        return "the rows stand in reverse order"
    for name, keys in (("characters", [sum(map(len, sides(text))) for text in texts]), ("tokens", list(tokens))):
        sizes = [keys[text] for text in held]
        if sizes == sorted(sizes) and len(set(sizes)) > 2:
            return f"the rows stand by number of {name}, the shortest first"
        if sizes == sorted(sizes, reverse=True) and len(set(sizes)) > 2:
            return f"the rows stand by number of {name}, the longest first"
    words = ["".join(sides(texts[text])) for text in held]
    if words == sorted(words):
        return "the rows stand in the order of the alphabet"
    return f"the rows stand in another order than the texts ({len(moved)} of {len(there)} are elsewhere)"


def _some(what: str, numbers: Sequence[int], most: int = 6) -> str:
    listed = ", ".join(map(str, numbers[:most])) + (f" and {len(numbers) - most:,} more" if len(numbers) > most else "")
    return f"{what}{'s' * (len(numbers) > 1)} {listed}"
