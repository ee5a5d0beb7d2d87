"""Token answers: what heads that read every token say: words for a mask, a label per token, a span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    import pandas as pd

TOP = 10
"""Best answers that are kept."""


@dataclass(frozen=True)
class TokenAnswers:
    """The best answers of a head over tokens.

    Attributes
    ----------
    kind : "masked-lm", "token" or "question".
    rows : one dictionary an answer, the columns of a table.
    sentence : the first answer, as it ends a sentence.
    """

    kind: str
    rows: tuple[dict[str, Any], ...]
    sentence: str

    def to_frame(self) -> pd.DataFrame:
        """One line an answer."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))


def fills(logits: torch.Tensor, positions: list[int], tokenizer: Any) -> TokenAnswers:
    """The likeliest tokens for masked positions; `logits` is (tokens, vocabulary)."""
    rows = []
    for position in positions:
        probable = logits[position].double().softmax(-1)
        for rank, token in enumerate(probable.topk(min(TOP, len(probable))).indices.tolist(), start=1):
            rows.append(
                {
                    "position": position,
                    "rank": rank,
                    "token": str(tokenizer.convert_ids_to_tokens(token)),
                    "id": token,
                    "probability": float(probable[token]),
                    "logit": float(logits[position, token]),
                }
            )
    best = rows[0]
    words = f"“{best['token']}” at position {best['position']} with probability {best['probability']:.3f}"
    return TokenAnswers("masked-lm", tuple(rows), words)


def labelled(logits: torch.Tensor, tokens: tuple[str, ...], special: tuple[int, ...], labels: tuple[str, ...]) -> TokenAnswers:
    """The label of every token; `logits` is (tokens, classes)."""
    probable = logits.double().softmax(-1)
    rows: list[dict[str, Any]] = [
        {
            "position": place,
            "token": token,
            "special": bool(special[place]),
            "label": labels[int(probable[place].argmax())],
            "probability": float(probable[place].max()),
            **{f"logit {label}": float(logits[place, at]) for at, label in enumerate(labels)},
        }
        for place, token in enumerate(tokens)
    ]
    content = [row for row in rows if not row["special"]] or rows
    sure = max(content, key=lambda row: row["probability"])
    surest = f"“{sure['token']}”: {sure['label']} {sure['probability']:.3f}"
    words = f"a label for each of {len(content)} word pieces, surest of {surest}"
    return TokenAnswers("token", tuple(rows), words)


def spans(start: torch.Tensor, end: torch.Tensor, context: list[int], ids: tuple[int, ...], tokenizer: Any) -> TokenAnswers:
    """The likeliest spans of the context; `start` and `end` are logits (tokens,), the span's score is their sum.

    Parameters
    ----------
    context : positions in which an answer may stand: of a pair the second sentence, of one text all word pieces.
    """
    there = np.array(context)
    first, last = start[there].double(), end[there].double()
    scores = (first[:, None] + last).masked_fill(~torch.ones(len(there), len(there), dtype=torch.bool).triu(), -torch.inf)
    # of every pair of places, also those that are no spans, as the model's own softmax counts them
    probable = first.softmax(0)[:, None] * last.softmax(0)
    rows = []
    for rank, at in enumerate(scores.flatten().topk(min(TOP, int(scores.isfinite().sum()))).indices.tolist(), start=1):
        one, other = divmod(at, len(there))
        begin, finish = int(there[one]), int(there[other])
        rows.append(
            {
                "rank": rank,
                "start": begin,
                "end": finish,
                "answer": str(tokenizer.decode(list(ids[begin : finish + 1]))),
                "score": float(scores[one, other]),
                "probability": float(probable[one, other]),
            }
        )
    best = rows[0]
    words = f"the span “{best['answer']}”, tokens {best['start']} to {best['end']}, with probability {best['probability']:.3f}"
    return TokenAnswers("question", tuple(rows), words)
