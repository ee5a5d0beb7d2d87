"""Presets: the pairs of conditions that people really compare, under their everyday names, and texts to begin with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """A reference, a candidate and a readout with a name.

    Attributes
    ----------
    name : as a person would say it.
    reference, candidate : conditions; `{limit}` stands for 256 tokens or the model's limit where that is smaller.
    readout : what is read.
    why : what it shows, in one sentence.
    """

    name: str
    reference: str
    candidate: str
    readout: str = "cls"
    why: str = ""

    def fitted(self, limit: int) -> tuple[str, str]:
        """Reference and candidate for a model that takes `limit` tokens."""
        fixed = min(256, limit)
        return self.reference.format(limit=fixed), self.candidate.format(limit=fixed)


PRESETS: tuple[Preset, ...] = (
    Preset("alone against the batch", "batch=alone", "", why="the same text by itself and padded beside longer ones"),
    Preset("padded to a fixed length", "batch=alone", "padding={limit}", why="padding tokens added, mask passed"),
    Preset("mask forgotten", "batch=alone", "mask=off", why="padded, but attention_mask is not passed"),
    Preset("mask inverted", "batch=alone", "mask=inverted", why="zeros and ones of the mask exchanged"),
    Preset("left padding", "batch=alone", "side=left", why="padding in front moves every token's position"),
    Preset(
        "left padding, positions from the mask",
        "batch=alone",
        "side=left,positions=from-mask",
        why="left padding done right",
    ),
    Preset("row taken by index", "padding={limit}", "padding={limit},rows=index", why="x[i] loses the batch axis"),
    Preset("special tokens left out", "batch=alone", "batch=alone,specials=off", why="no [CLS] and no [SEP] are added"),
    Preset("segments all ones", "batch=alone", "batch=alone,segments=ones", why="a single sentence marked as sentence B"),
    Preset("truncated early", "batch=alone", "batch=alone,max_length=8", why="only the first 8 tokens are kept"),
    Preset("dropout left on", "batch=alone", "batch=alone,dropout=on", why="model.eval() forgotten"),
    Preset("mean over padding", "batch=alone", "", "mean_all", why="the plain mean counts padding tokens"),
    Preset("bfloat16", "batch=alone", "batch=alone,dtype=bfloat16", why="weights and activations in bfloat16"),
    Preset("float16", "batch=alone", "batch=alone,dtype=float16", why="weights and activations in float16"),
    Preset("eager attention", "batch=alone", "batch=alone,attention=eager", why="another implementation of attention"),
)

EXAMPLE_TEXTS = (
    "The bank raised its interest rates.",
    "We sat on the bank of the river and watched the boats go by until it was dark.",
    "Why do these two vectors disagree?",
    "Padding!",
)
"""Texts of different lengths, so that a batch of them is padded."""

TRAP_TEXTS = ("The cat sat down.", "It rained all night on the bridge.")
"""Two texts of 7 and 10 tokens (in BERT's uncased vocabulary), for the padding trap."""
