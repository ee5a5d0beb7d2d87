"""Names: what an expression finds when it begins, and what the words that people write stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bertlens.read.capture import Capture
from bertlens.read.expression.cells import INPUTS, Cells
from bertlens.read.expression.values import Encoding, Fields, Names, Namespace, Stand

OUTPUTS = ("outputs", "output", "out", "outs", "model_output", "model_outputs", "result", "results")
LAST = ("last_hidden_state", "last_hidden_states", "sequence_output", "token_embeddings")
STATES = ("hidden_states", "all_hidden_states")
POOLER = ("pooler_output", "pooled_output")
ENCODING = ("inputs", "encoded_input", "encoded_inputs", "encoding", "encodings", "enc", "batch", "tokens", "tokenized")
MASK = ("attention_mask", "mask", "input_mask")
MODULES = {"torch": "torch", "np": "np", "numpy": "np", "F": "F", "nn": "nn", "util": "util"}
STANDS = ("model", "bert", "encoder", "bert_model", "tokenizer")
CLASSES = ("AutoModel", "AutoTokenizer", "BertModel", "BertTokenizer", "RobertaModel", "DistilBertModel", "AutoConfig")
TEXTS = ("texts", "sentences")
TEXT = ("text", "sentence")

OUTPUT_FIELDS = ("last_hidden_state", "hidden_states", "pooler_output")

SUBMODULES = {
    "torch.nn": "nn",
    "torch.nn.functional": "F",
    "nn.functional": "F",
    "torch.linalg": "torch.linalg",
    "torch.cuda": "torch.cuda",
    "np.linalg": "np.linalg",
}
"""Modules inside modules, by the names they have in here."""

ORDINARY = ("len", "range", "list", "tuple", "sum", "zip", "enumerate", "min", "max", "abs", "int", "float", "bool", "print")
"""Python's own functions that the language has."""

REPLACED = {
    "cls": "last_hidden_state[:, 0]",
    "embeddings": "last_hidden_state",
    "pooler": "pooler_output",
    "logits": "last_hidden_state",
}
"""Names that difflib would not find."""


def first_names(cells: Cells) -> Names:
    """Everything that is there before the first line."""
    names = Names()
    put = names.items
    fields = fields_of(cells, hidden_states=True)
    for name in OUTPUTS:
        put[name] = fields
    for group, field in ((LAST, "last_hidden_state"), (STATES, "hidden_states"), (POOLER, "pooler_output")):
        if field in fields.items:
            put.update(dict.fromkeys(group, fields.items[field]))
    encoding = Encoding({name: cells.input(name) for name in INPUTS if name in cells.capture.inputs})
    put.update(dict.fromkeys(ENCODING, encoding))
    put.update(encoding.items)
    if "attention_mask" in encoding.items:
        put.update(dict.fromkeys(MASK, encoding.items["attention_mask"]))
    put.update({name: Namespace(module) for name, module in MODULES.items()})
    put.update({name: Stand(name) for name in (*STANDS, *CLASSES, *TEXT, "device")})
    put.update({name: [f"text {at}" for at in range(cells.capture.batch)] for name in TEXTS})
    return names


def fields_of(cells: Cells, *, hidden_states: bool) -> Fields:
    """The model's output, with or without what `output_hidden_states=True` adds."""
    capture: Capture = cells.capture
    made: dict[str, Callable[[], Any]] = {
        "last_hidden_state": cells.last,
        "pooler_output": cells.pooler,
        "hidden_states": lambda: tuple(cells.state(layer) for layer in range(len(capture.hidden_states))),
    }
    wanted = [name for name in capture.fields if hidden_states or name != "hidden_states"]
    return Fields({name: made[name]() for name in wanted if name in made})
