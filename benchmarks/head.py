"""What following the head costs above one forward pass, and integrated gradients above their bare passes.

    python -m benchmarks.head [--rounds 5]

Every time is a ratio within one run, both sides taking turns. The bare passes of integrated gradients are those of the same
rows in the same batches, forward and backward, with nothing around them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from benchmarks.cost import base_size
from benchmarks.layers import ratio, texts_of
from bertlens.judge.head_steps import steps_of
from bertlens.read.head import following, trace
from bertlens.read.shares import TOKENS, integrated_gradients, without_gradients
from bertlens.run.checkpoint import Checkpoint, load
from bertlens.run.condition import Condition
from bertlens.run.headed import headed
from bertlens.run.inputs import Batch, prepare

STEPS = 50
TIMED = 640
"""Tokens that are passed in a round: a short pass alone takes too little time to tell hundredths."""


def batch_of(checkpoint: Checkpoint, tokens: int) -> Batch:
    """One text of so many tokens."""
    return next(iter(prepare(checkpoint, texts_of([tokens]), Condition())))


def followed(checkpoint: Checkpoint, tokens: int, rounds: int) -> float:
    """A pass that is followed, of many with the same hooks, over one that is not."""
    model, batch = headed(checkpoint).own_instance(), batch_of(checkpoint, tokens)
    bare = headed(checkpoint).own_instance()
    with torch.inference_mode(), following(model) as follow:
        return ratio(lambda: bare(**batch.tensors), lambda: follow(batch.tensors, batch.real), rounds)


def alone(checkpoint: Checkpoint, tokens: int, rounds: int, *, by_hand: bool) -> float:
    """The same for one pass, its hooks hung and taken off; `by_hand` recomputes every step as well, in float64 twice more."""
    one, batch = headed(checkpoint), batch_of(checkpoint, tokens)
    model = one.own_instance()

    def whole() -> None:
        found = trace(model, batch.tensors, batch.real)
        if by_hand:
            steps_of(found, one.drawn, 0)

    with torch.inference_mode():
        return ratio(lambda: model(**batch.tensors), whole, rounds)


def sharing(checkpoint: Checkpoint, tokens: int, rounds: int) -> float:
    """Integrated gradients over the same rows forward and backward."""
    one, batch = headed(checkpoint), batch_of(checkpoint, tokens)
    model = without_gradients(one.own_instance())
    start = model.get_input_embeddings()(batch.tensors["input_ids"])
    others = {name: tensor for name, tensor in batch.tensors.items() if name != "input_ids"}
    at_once = max(1, TOKENS // tokens)

    def bare() -> None:
        for at in range(0, STEPS, at_once):
            rows = min(at_once, STEPS - at)
            embeddings = start.expand(rows, -1, -1).clone().requires_grad_()
            passed = {name: tensor.expand(rows, -1) for name, tensor in others.items()}
            torch.autograd.grad(model(inputs_embeds=embeddings, **passed).logits[:, 0].sum(), embeddings)

    return ratio(bare, lambda: integrated_gradients(one, batch, 0, None, STEPS), rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {rounds} rounds\n")
    print("| what | model | tokens | ratio | bound |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, checkpoint in (("random bert-base", base_size(Path(folder))), ("minilm", load())):
            for tokens in (32, 128, min(512, checkpoint.max_length)):
                passes = rounds * max(1, TIMED // tokens)
                found = followed(checkpoint, tokens, passes)
                print(f"| head followed, one of many passes | {name} | {tokens} | {found:.3f} | 1.05 |", flush=True)
                found = alone(checkpoint, tokens, passes, by_hand=False)
                print(f"| head followed, a single pass | {name} | {tokens} | {found:.3f} | |", flush=True)
            checked = alone(checkpoint, 128, rounds * TIMED // 128, by_hand=True)
            print(f"| head followed and recomputed by hand | {name} | 128 | {checked:.3f} | |")
            for tokens in (32, 128):
                print(
                    f"| integrated gradients | {name} | {tokens} | {sharing(checkpoint, tokens, rounds):.3f} | 1.15 |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
