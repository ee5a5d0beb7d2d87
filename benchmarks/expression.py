"""What an expression costs: `bertlens.explain` against the same line evaluated by PyTorch and numpy alone.

    python -m benchmarks.expression [--rounds 5]

The outputs are random tensors of the size of a real forward pass; both sides take turns on them, and the medians of what
`explain` takes over the bare evaluation stand in the table, with the largest of all rounds. The bound is 0.3 s.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import bertlens
from bertlens.read.capture import Capture

SIZES = {
    "2 texts of 256, 6 layers of 384": (2, 256, 6, 384),
    "2 texts of 256, 12 layers of 768": (2, 256, 12, 768),
    "32 texts of 64, 12 layers of 768": (32, 64, 12, 768),
    "16 texts of 256, 12 layers of 768": (16, 256, 12, 768),
}
MEAN_POOLING = """\
def mean_pooling(model_output, attention_mask):
    token_embeddings = model_output[0]
    mask = attention_mask.unsqueeze(-1).expand(token_embeddings.size()).float()
    return torch.sum(token_embeddings * mask, 1) / torch.clamp(mask.sum(1), min=1e-9)
F.normalize(mean_pooling(outputs, inputs["attention_mask"]), p=2, dim=1)"""
PER_TOKEN = """\
token_embeddings = torch.stack(hidden_states)[:, 0].permute(1, 0, 2)
vectors = []
for token in token_embeddings:
    vectors.append(torch.cat((token[-1], token[-2], token[-3], token[-4])))
torch.stack(vectors)"""
EXPRESSIONS = {
    "every [CLS]": "outputs.last_hidden_state[:, 0, :]",
    "output[0][0], a fault": "output[0][0]",
    "plain mean, a fault": "last_hidden_state.mean(1)",
    "masked mean": "(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1, keepdim=True)",
    "mean pooling of the model cards": MEAN_POOLING,
    "[CLS] of four layers, mean": "torch.stack([h[:, 0] for h in hidden_states[-4:]]).mean(0)",
    "four layers in a row, plain mean, a fault": "torch.cat(hidden_states[-4:], dim=-1).mean(1)",
    "all layers stacked, maximum": "torch.stack(hidden_states[1:]).amax(0)",
    "last real token": "last_hidden_state[torch.arange(len(input_ids)), attention_mask.sum(1) - 1]",
    "cosines of all pairs": "v = F.normalize(last_hidden_state[:, 0], dim=-1)\nv @ v.T",
    "token by token, four layers": PER_TOKEN,
    "attention scores of tokens": "last_hidden_state @ last_hidden_state.transpose(1, 2)",
    "view across axes, a fault": "last_hidden_state.view(last_hidden_state.size(2), -1)",
    "sorted units": "last_hidden_state.sort(-1).values[:, 0]",
    "numpy mean": "np.mean(last_hidden_state.numpy(), axis=1)",
}


def outputs(batch: int, tokens: int, layers: int, hidden: int) -> Capture:
    """Random outputs; each text is shorter than the one before it."""
    drawn = torch.Generator().manual_seed(0)
    states = tuple(torch.randn(batch, tokens, hidden, generator=drawn) for _ in range(layers + 1))
    lengths = torch.linspace(tokens, tokens // 3, batch).long()
    mask = (torch.arange(tokens)[None] < lengths[:, None]).long()
    fields = ("last_hidden_state", "pooler_output", "hidden_states")
    ids = {"input_ids": torch.ones_like(mask), "attention_mask": mask}
    return Capture(states, states[-1], torch.tanh(states[-1][:, 0]), ids, None, mask, None, "[CLS]", "[SEP]", fields, batch)


def bare(capture: Capture) -> Callable[[str], Any]:
    """The expression in plain Python."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    out = BaseModelOutputWithPooling(capture.last_hidden_state, capture.pooler_output, capture.hidden_states)
    libraries = {"torch": torch, "np": np, "F": torch.nn.functional, "nn": torch.nn}
    names = {**libraries, "outputs": out, "output": out, "inputs": capture.inputs, **out, **capture.inputs}

    def run(expression: str) -> Any:
        *lines, last = expression.split("\n")
        scope: dict[str, Any] = dict(names)
        exec("\n".join(lines), scope)
        return eval(last, scope)

    return run


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def extra(expression: str, run: Callable[[str], Any], capture: Capture, rounds: int) -> list[float]:
    """Seconds that `explain` takes over the bare evaluation, after one round of each that does not count."""
    found = []
    for _ in range(rounds + 1):
        plain = seconds(lambda: run(expression))
        found.append(seconds(lambda: bertlens.explain(expression, capture)) - plain)
    return found[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print("| expression | " + " | ".join(SIZES) + " |")
    print("| --- " * (len(SIZES) + 1) + "|")
    columns, largest = [], 0.0
    for size in SIZES.values():
        capture = outputs(*size)
        run = bare(capture)
        column = []
        for expression in EXPRESSIONS.values():
            over = extra(expression, run, capture, rounds)
            largest = max(largest, *over)
            column.append(statistics.median(over))
        columns.append(column)
    for name, row in zip(EXPRESSIONS, zip(*columns, strict=True), strict=True):
        print(f"| {name} | " + " | ".join(f"{value * 1000:.0f}" for value in row) + " |")
    print(f"\nMilliseconds over bare, median of {rounds} rounds; largest: {largest * 1000:.0f}; bound 300.")


if __name__ == "__main__":
    main()
