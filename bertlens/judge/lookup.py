"""Lookup: where the vectors before the first layer come from, checked, and what feeding them back does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bertlens.judge.display import Shown
from bertlens.judge.findings import Finding
from bertlens.judge.measures import cosine, plain
from bertlens.judge.trial import Trial
from bertlens.read.embedding import Embedding

if TYPE_CHECKING:
    import pandas as pd

NORM = "norm of {}"
"""Column of the table for the length of a vector: word, position, segment, sum, after norm, after projection."""


@dataclass(frozen=True, eq=False)
class Lookup(Shown):
    """The embeddings of one text, part by part, and what the model makes of them when they are fed back.

    Attributes
    ----------
    checkpoint : as `Checkpoint.to_dict` gives it.
    text : index of the text.
    tokens : as the tokenizer writes them.
    embedding : parts, steps and hidden_states[0].
    alone : largest difference between the embedding module run alone and the same tensor inside the whole pass; None where the
        module cannot be called alone.
    fed : what was passed as inputs_embeds, each held against the run with ids; the lookup itself is the first.
    findings : that `hidden_states[0]` fed back is something else, with the lines that are right.
    notes : what is particular about this model, each a sentence derived from what was found in it.
    environment : versions, threads, device.
    """

    checkpoint: dict[str, Any]
    text: int
    tokens: tuple[str, ...]
    embedding: Embedding
    alone: float | None
    fed: tuple[Trial, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    environment: dict[str, Any]

    @property
    def holds(self) -> bool:
        """Whether the parts give hidden_states[0] to the last bit and the lookup gives the original outputs."""
        return self.embedding.max_abs == 0 and self.fed[0].verdict in ("identical", "rounding")

    @property
    def verdict(self) -> str:
        """ "sound" where everything holds, else "caution"."""
        return "sound" if self.holds else "caution"

    @property
    def sentence(self) -> str:
        """What the vectors are, and what happens when they are fed back."""
        word = "Sound" if self.holds else "Usable with care"
        made = " + ".join(part.role for part in self.embedding.parts)
        then = "".join(f", then {step.name}" for step in self.embedding.steps[1:])
        told = f"{word}: {made}{then} gives hidden_states[0] of all {len(self.tokens)} tokens; sum checked against the model: "
        told += f"max abs {self.embedding.max_abs!r}. Fed back as inputs_embeds, "
        return told + "; ".join(f"{trial.name} gives {_outputs(trial)}" for trial in self.fed) + "."

    @property
    def vectors(self) -> dict[str, np.ndarray]:
        """Name -> (tokens, width): every part, then the sum and what follows it."""
        found = {part.role: part.values for part in self.embedding.parts}
        return found | {STEPS.get(step.name, step.name): step.values for step in self.embedding.steps}

    @property
    def norms(self) -> dict[str, np.ndarray]:
        """Name -> (tokens,), the L2 length of every vector of `vectors`, in float64."""
        return {name: torch.from_numpy(values).double().norm(dim=1).numpy() for name, values in self.vectors.items()}

    @property
    def cosines(self) -> dict[str, np.ndarray]:
        """Pair -> (tokens,): the cosine of every two parts, and of every part with the sum."""
        parts = {part.role: part.values for part in self.embedding.parts} | {"sum": self.embedding.steps[0].values}
        names = list(parts)
        pairs = [(one, other) for at, one in enumerate(names) for other in names[at + 1 :]]
        if len(names) == 2:  # one part is the sum
            return {}
        return {f"{one} · {other}": cosine(parts[one], parts[other]) for one, other in pairs}

    def to_frame(self) -> pd.DataFrame:
        """One line per token: which rows it was given, the lengths of its vectors, and their cosines."""
        import pandas as pd

        columns: dict[str, Any] = {"position": range(len(self.tokens)), "token": self.tokens}
        columns |= {f"{part.role} id": part.ids for part in self.embedding.parts}
        columns |= {NORM.format(name): values for name, values in self.norms.items()}
        return pd.DataFrame(columns | {f"cosine {pair}": values for pair, values in self.cosines.items()})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the vectors."""
        return {
            "schema": "bertlens.lookup/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "checkpoint": self.checkpoint,
            "text": self.text,
            "tokens": list(self.tokens),
            "parts": [{"role": part.role, "module": part.module, "ids": list(part.ids)} for part in self.embedding.parts],
            "steps": [
                {"name": step.name, "module": step.module, "max_abs": plain(step.max_abs)} for step in self.embedding.steps
            ],
            "max_abs": plain(self.embedding.max_abs),
            "embedding_module_alone": self.alone,
            "norms": {name: [plain(float(value)) for value in values] for name, values in self.norms.items()},
            "cosines": {name: [plain(float(value)) for value in values] for name, values in self.cosines.items()},
            "fed": [trial.to_dict() for trial in self.fed],
            "findings": [finding.to_dict() for finding in self.findings],
            "elsewhere": list(self.embedding.elsewhere),
            "dropout": self.embedding.dropout,
            "notes": list(self.notes),
            "environment": self.environment,
        }


STEPS = {"norm": "after norm", "projection": "after projection"}
"""How the vectors behind a step are called."""


FED_BACK = """vectors = model.get_input_embeddings()(batch["input_ids"])  # edit these, not hidden_states[0]
rest = {name: tensor for name, tensor in batch.items() if name != "input_ids"}
out = model(inputs_embeds=vectors, **rest)"""


def of_feeding(trial: Trial) -> Finding:
    """The note that vectors behind the embeddings do not belong where lookups go, with its size here."""
    return Finding(
        id="inputs-embeds-twice",
        severity="note",
        title=f"{trial.name} as inputs_embeds is embedded twice: {trial.size}",
        evidence=trial.to_dict(),
        affects=("last_hidden_state",),
        remedy="Take the lookup itself, change it, and pass it with the same mask and segments.",
        code=FED_BACK,
    )


def _outputs(trial: Trial) -> str:
    return f"the original outputs: {trial.size}" if trial.verdict in ("identical", "rounding") else f"others: {trial.size}"


def particulars(found: Embedding) -> tuple[str, ...]:
    """What is particular about the embeddings of a model, as sentences; every one is read off what was found."""
    notes = []
    word, position, segment = (found.part(role) for role in ("word", "position", "segment"))
    later = [line for line in found.elsewhere if line.endswith(("in every attention", "inside the layers"))]
    relative = [line for line in found.elsewhere if line not in later]
    if position is None:
        turned = f" Positions come in later: {later[0]}." if later else ""
        notes.append(f"No absolute positions: no position vector is added before the first layer.{turned}")
    elif position.pad is not None and position.ids[:1] == (position.pad + 1,):
        notes.append(
            f"Positions are counted from {position.ids[0]}: this model counts the tokens that are not padding, from the row "
            f"after the padding row {position.pad} of {position.module}."
        )
    notes += [f"Besides, {line}." for line in relative]
    if segment is None:
        notes.append("No segments: no vector tells a first sentence from a second one, and token_type_ids mean nothing here.")
    elif segment.rows == 1:
        notes.append("The segment table has a single row, so every token of every text gets the same segment vector.")
    if found.factorised and word is not None:
        last = found.steps[-1]
        notes.append(
            f"Factorised: the tables hold {word.values.shape[1]} numbers a token, and {last.module or 'a later module'} makes "
            f"{found.state.shape[1]} of them; hidden_states[0] does not fit where a lookup goes."
        )
    if rates := sorted({rate for rate in found.dropout.values() if rate}):
        notes.append(
            f"Dropout of {' and '.join(map(str, rates))} stands before the first layer. It is off here, as after model.eval(); "
            "in training hidden_states[0] is another one at every call."
        )
    return tuple(notes)


@dataclass(frozen=True)
class LookupCost(Shown):
    """What the lookup costs beside a full pass: medians of runs that took turns.

    Attributes
    ----------
    rows, tokens : of the batch that was timed.
    lookup, module, whole : seconds of the table alone, of the embedding module alone (None where it cannot be called), and of
        a full pass with all hidden states.
    """

    rows: int
    tokens: int
    lookup: float
    module: float | None
    whole: float

    @property
    def sentence(self) -> str:
        """The ratio, within one run on one machine."""
        size = f"{self.rows} row{'s' * (self.rows != 1)} of {self.tokens} tokens"
        module = f", the whole embedding module {_times(self.module, self.whole)}" if self.module is not None else ""
        return (
            f"The lookup of {size} takes {_times(self.lookup, self.whole)} of a full pass{module} "
            f"({1e3 * self.lookup:.2g} ms of {1e3 * self.whole:.3g} ms)."
        )

    def to_frame(self) -> pd.DataFrame:
        """One line per thing that was timed."""
        import pandas as pd

        timed = {"lookup alone": self.lookup, "embedding module alone": self.module, "full pass": self.whole}
        kept = {name: seconds for name, seconds in timed.items() if seconds is not None}
        return pd.DataFrame(
            {"what": list(kept), "seconds": list(kept.values()), "share": [value / self.whole for value in kept.values()]}
        )


def _times(seconds: float, whole: float) -> str:
    return f"{100 * seconds / whole:.3g} %"
