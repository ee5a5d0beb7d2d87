"""Head tables: what the figures of a head are drawn from, and what stands beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bertlens.judge.cls_attention import ClsAttention
from bertlens.judge.head import Head, probabilities
from bertlens.run.texts import Texts, sides
from bertlens.show.head import drawn_steps


def steps(found: Head) -> pd.DataFrame:
    """One line per step as a page shows it."""
    lines = [
        {
            "step": at,
            "what": step.kind,
            "where": step.name,
            "shape": "(" + ", ".join(map(str, step.shape)) + ")",
            "norm": step.norm,
            "smallest": float(step.values.min()),
            "largest": float(step.values.max()),
            "tanh above 0.99": "" if step.saturation is None else f"{100 * step.saturation:.1f} %",
            "by hand": step.formula or "as it is",
            "max abs": step.gap,
            "max abs in float64": step.gap_float64,
            "newly initialised": "yes" if step.drawn else "",
        }
        for at, step in enumerate(found.steps)
    ]
    return pd.DataFrame(lines)


def values(found: Head) -> pd.DataFrame:
    """One line per unit and step, of the steps that have a histogram."""
    parts = [
        pd.DataFrame({"step": step.name, "what": step.kind, "unit": np.arange(step.values.size), "value": step.values})
        for step in drawn_steps(found)
    ]
    return pd.concat(parts, ignore_index=True)


def tokens(found: Head) -> pd.DataFrame:
    """One line per token of the row."""
    return pd.DataFrame(
        {
            "position": range(len(found.tokens)),
            "token": list(found.tokens),
            "id": list(found.ids),
            "segment": list(found.segments),
            "special": np.asarray(found.special).astype(bool),
        }
    )


def special_tokens(found: Head) -> pd.DataFrame:
    """One line per special token with its row of the embedding matrix."""
    lines = [
        {
            "token": row.token,
            "id": row.id,
            "role": ", ".join(row.roles),
            "norm of its row": row.norm,
            "rank of the norm": f"{row.rank:,} of {row.of:,}",
            "times in this text": found.ids.count(row.id),
        }
        for row in found.rows
    ]
    return pd.DataFrame(lines)


def fields(found: Head) -> pd.DataFrame:
    """One line per output of the model."""
    lines = [
        {"field": f.name, "axes": ", ".join(f.axes), "shape": "(" + ", ".join(map(str, f.shape)) + ")", "dtype": f.dtype}
        for f in found.fields
    ]
    return pd.DataFrame(lines)


def answers(found: Head) -> pd.DataFrame:
    """One line per class: logits and probabilities with [CLS] and with the mean."""
    frame = pd.DataFrame({"class": list(found.labels)})
    for name, each in found.replaced.items():
        frame[f"logit, {name}"] = each[-1]
        if found.activation:
            frame[f"{found.activation}, {name}"] = probabilities(each[-1], found.activation)
    return frame


def side_by_side(found: Head) -> pd.DataFrame:
    """One line per step: the norm with [CLS] and with the mean, and how alike the two are there."""
    lines = []
    for at, step in enumerate(found.steps):
        one, other = (found.replaced[name][at].astype(np.float64) for name in ("cls", "mean"))
        lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
        lines.append(
            {
                "step": at,
                "what": step.kind,
                "where": step.name,
                "norm with [CLS]": float(np.linalg.norm(one)),
                "norm with the mean": float(np.linalg.norm(other)),
                "cosine": float(one @ other / lengths) if lengths else 0.0,
                "max abs": float(np.abs(one - other).max()),
            }
        )
    return pd.DataFrame(lines[1:])  # the last hidden state is the same for both


def predictions(found: Head, texts: Texts) -> pd.DataFrame:
    """One line per text: the class that [CLS] gives and the one that the mean gives."""
    assert found.predictions is not None
    logits = found.predictions.logits
    frame = pd.DataFrame({"text": range(len(logits["own"]))})
    frame["words"] = [" ||| ".join(sides(text)) for text in texts[: len(frame)]]
    for name in ("own", "cls", "mean"):
        best = logits[name].argmax(1)
        frame[name] = [found.labels[at] for at in best] if found.activation else logits[name][:, 0]
        if found.activation:
            frame[f"{found.activation}, {name}"] = probabilities(logits[name], found.activation)[np.arange(len(best)), best]
    return frame


def attention(found: ClsAttention) -> pd.DataFrame:
    """One line per layer and token, averaged over the heads."""
    layers, count = found.mean.shape
    return pd.DataFrame(
        {
            "layer": np.repeat(np.arange(1, layers + 1), count),
            "position": np.tile(np.arange(count), layers),
            "token": list(found.tokens) * layers,
            "attention": found.mean.ravel(),
        }
    )


def heads(found: ClsAttention) -> pd.DataFrame:
    """One line per layer and head: what goes to word pieces, to [CLS] itself and to other special tokens."""
    layers, count, _ = found.values.shape
    content = np.asarray(found.special) == 0
    to_content, to_itself = found.values[:, :, content].sum(2), found.values[:, :, 0]
    return pd.DataFrame(
        {
            "layer": np.repeat(np.arange(1, layers + 1), count),
            "head": np.tile(np.arange(1, count + 1), layers),
            "to word pieces": to_content.ravel(),
            "to itself": to_itself.ravel(),
            "to other special tokens": (found.values.sum(2) - to_content - to_itself).ravel(),
        }
    )
