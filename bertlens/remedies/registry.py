"""Registry: which findings can be carried out, by which remedy; and what is to be said of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bertlens.remedies import adapters, letters, naming, pooler, sizes, specials, values
from bertlens.remedies.work import Work


@dataclass(frozen=True)
class Remedy:
    """What mends a finding.

    Attributes
    ----------
    sentence : what it does, for a person who is about to choose it.
    needs_base : whether it cannot do without another checkpoint; `takes_base`: whether it can use one.
    function : does it to a `Work`.
    """

    sentence: str
    needs_base: bool
    function: Callable[[Work], None]
    takes_base: bool = False


def _with(sentence: str, function: Callable[[Work], None], needs: bool = False, takes: bool = False) -> Remedy:
    return Remedy(sentence, needs, function, takes or needs)


_LENGTHS = "Set every limit of length to one: the declared recipe's, else the smallest that the model can run."
_RIGHT = "Set the padding side to right in every file that names one."

REMEDIES: dict[str, Remedy] = {
    "wrapper-prefix": _with("Strip what the training wrapper put before the keys.", naming.rename),
    "weights-not-loaded": _with("Rename the keys so that the model finds them.", naming.rename),
    "legacy-layernorm-names": _with(
        "Rename gamma and beta to weight and bias; where the values are lost, take the base's.", naming.modern_norms, takes=True
    ),
    "tied-weights-dropped": _with("Write the word embeddings from the decoder that was tied to them.", naming.untie),
    "pooler-missing": _with("Take the pooler of the base checkpoint.", pooler.complete, needs=True),
    "pooler-untrained": _with(
        "Take the pooler of the base checkpoint; without one, remove the dead pooler.", pooler.replace_or_drop, takes=True
    ),
    "shape-mismatch": _with(
        "Let the config follow the shapes in the file; with a base, take the tensors in question from it.",
        sizes.fit,
        takes=True,
    ),
    "token-ids-out-of-range": _with("Give every token of the tokenizer a row, the mean of the others.", sizes.more_rows),
    "half-precision-file": _with("Write the weights as float32; the lost bits do not come back.", values.widen),
    "random-model": _with("Take the trained weights from the base checkpoint.", values.from_base, needs=True),
    "conversion-incomplete": _with(
        "Take what is missing or broken from the base checkpoint; leave an optimiser's tensors out.",
        values.from_base,
        takes=True,
    ),
    "config-scalar-differs": _with("Take the unusual values from the base's config.", values.scalars, needs=True),
    "fine-tuning-absent": _with("Merge the low-rank adapter into the weights.", adapters.merge),
    "pad-id-conflict": _with("Give padding one id in config and tokenizer.", specials.padding_id),
    "wrong-vocabulary": _with(
        "Set the special ids in the config to the tokenizer's; with a base, take its tokenizer.",
        specials.special_ids,
        takes=True,
    ),
    "post-processor-ids-wrong": _with("Write the vocabulary's ids into the template.", specials.template_ids),
    "special-tokens-missing": _with("Write the template that puts [CLS] and [SEP] around a text.", specials.template),
    "special-tokens-doubled": _with("Write the template that puts [CLS] and [SEP] around a text once.", specials.template),
    "left-padding-positions": _with(_RIGHT, specials.pad_right),
    "cls-read-at-padding": _with(_RIGHT, specials.pad_right),
    "uncased-vocab-not-lowercased": _with("Lower-case in every file that decides about it.", letters.lower),
    "lowercased-cased-model": _with("Keep capitals in every file that decides about them.", letters.keep),
    "conflicting-length-limits": _with(_LENGTHS, letters.one_length),
}
"""The findings that are carried out."""

BY_HAND: dict[str, str] = {
    "classifier-untrained": "train it on labelled texts, or load the folder that was saved after fine-tuning",
    "untrained-token-rows": "train the new rows on texts in which their tokens occur",
    "head-count-wrong": "copy num_attention_heads from the original config: no tensor shows it",
    "wrong-architecture-class": "set model_type in config.json to that of the class that was trained",
    "quantised-weights": "take the file from before quantisation: the rounded digits are in no other file",
    "harmless-keys": "leave them: no embedding depends on them",
    "checkpoint-drift": "pin the revision that your vectors were made with",
}
"""What a person has to do where no program can; other ids have the catalogue's fix."""
