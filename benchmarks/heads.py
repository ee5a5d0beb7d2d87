"""Measure how well the head size is told: never from what has no heads, and rightly from what was trained.

    python -m benchmarks.heads [--draws 200] [--seconds 200]

Prints the tables that `docs/heads.md` shows. Small BERTs are trained on the source text of transformers, so many seconds each.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

import bertlens
from bertlens.judge.weights.heads import LEAST, SIDES, HeadSize, head_size
from bertlens.read.projections import projections

Layers = list[dict[str, Tensor]]
WIDTHS, DEPTHS = (32, 48, 64, 128, 256, 384), (1, 2, 4, 12)
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def _scaled(width: int, levels: Tensor) -> Tensor:
    return torch.randn(width, width) * levels[:, None] * levels


def _autoregression(width: int) -> Tensor:
    levels = torch.randn(width)
    for at in range(1, width):
        levels[at] += 0.9 * levels[at - 1]
    return (0.3 * levels).exp()


DRAWS: dict[str, Callable[[int], Tensor]] = {
    "normal": lambda width: torch.randn(width, width),
    "uniform": lambda width: torch.rand(width, width) - 0.5,
    "heavy tails": lambda width: torch.randn(width, width) / torch.rand(width, width).clamp_min(1e-3),
    "orthogonal": lambda width: torch.linalg.qr(torch.randn(width, width))[0] + 1e-6 * torch.randn(width, width),
    "a scale per unit": lambda width: _scaled(width, torch.randn(width).exp()),
    "rank 8": lambda width: torch.randn(width, 8) @ torch.randn(8, width) + 0.1 * torch.randn(width, width),
    "trend": lambda width: _scaled(width, (torch.linspace(0, 1, width) * torch.randn(1)).exp()),
    "autoregression": lambda width: _scaled(width, _autoregression(width)),
    "random walk": lambda width: _scaled(width, (0.1 * torch.randn(width).cumsum(0)).exp()),
}


def alarms(draw: Callable[[int], Tensor], draws: int) -> tuple[Counter[int | None], float]:
    """Head sizes told from random matrices, and the largest margin in parts of the one that is needed."""
    told, largest = Counter[int | None](), float("-inf")
    for seed in range(draws):
        torch.manual_seed(seed)
        width, depth = WIDTHS[seed % len(WIDTHS)], DEPTHS[seed // len(WIDTHS) % len(DEPTHS)]
        found = head_size([{name: draw(width) for name in SIDES} for _ in range(depth)])
        told[found.size] += 1
        largest = max(largest, (found.margin or 0.0) / max(LEAST, 4 * depth))
    return told, largest


def spoilt(layers: Layers, times: float) -> Layers:
    """Layers with Gaussian noise of so many times their own spread."""
    return [{name: w + times * w.std() * torch.randn_like(w) for name, w in layer.items()} for layer in layers]


def line(name: str, found: HeadSize) -> str:
    best = max(found.evidence, key=lambda size: found.evidence[size])
    return f"| {name} | {found.size or 'cannot tell'} | {best} | {found.margin:.1f} | {found.agreeing} of {found.layers} |"


def corpus() -> Tensor:
    """Ids of the source text of transformers in a vocabulary of 2,000."""
    files = sorted(Path(str(transformers.__file__)).parent.rglob("*.py"))[:1500]
    texts = [file.read_text("utf-8", errors="ignore") for file in files]
    raw = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    raw.normalizer, raw.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=2000, special_tokens=SPECIALS, show_progress=False)
    raw.train_from_iterator(texts[:500], trainer)
    return torch.tensor([at for text in texts for at in raw.encode(text).ids])


def train(ids: Tensor, heads: int, seed: int, seconds: float) -> None:
    """Masked language modelling with 2 layers of width 128; a line of the table at some steps."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "intermediate_size": 256, "max_position_embeddings": 64}
    model = BertForMaskedLM(BertConfig(vocab_size=2000, num_attention_heads=heads, attention_probs_dropout_prob=0.0, **sizes))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    warm = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / 200))
    start, step = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        tokens = torch.stack([ids[at : at + 48] for at in torch.randint(0, len(ids) - 48, (24,)).tolist()])
        hidden = torch.rand(tokens.shape) < 0.15
        wanted = tokens.masked_fill(~hidden, -100)
        loss = model(input_ids=tokens.masked_fill(hidden, SPECIALS.index("[MASK]")), labels=wanted).loss
        loss.backward()
        optimiser.step()
        warm.step()
        optimiser.zero_grad()
        step += 1
        if step in (50, 200, 500, 1000, 2000, 4000):
            print(line(f"{128 // heads}, {step} steps", head_size(projections(dict(model.named_parameters())))), flush=True)
    print(line(f"{128 // heads}, {step} steps", head_size(projections(dict(model.named_parameters())))), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200, help="random checkpoints of each kind")
    parser.add_argument("--seconds", type=float, default=200, help="training time of each small model; 0 for none")
    options = parser.parse_args()
    print("| matrices | draws | told a size | largest margin / needed |\n| --- | --- | --- | --- |")
    for name, draw in DRAWS.items():
        told, largest = alarms(draw, options.draws)
        print(f"| {name} | {options.draws} | {options.draws - told[None]} | {largest:.2f} |", flush=True)
    heading = "| told | best | margin | layers alone |\n| --- | --- | --- | --- | --- |"
    print("\n| all-MiniLM-L6-v2 " + heading)
    trained = projections(dict(bertlens.load().model.named_parameters()))
    print(line("as it is", head_size(trained)))
    for at in range(len(trained)):
        print(line(f"layer {at + 1}", head_size(trained[at : at + 1])))
    for kind in SIDES:
        print(line(f"{kind} only", head_size([{kind: layer[kind]} for layer in trained])))
    for times in (1, 2, 3, 4, 6, 8):
        torch.manual_seed(0)
        print(line(f"with {times} times its spread as noise", head_size(spoilt(trained, times))))
    if options.seconds:
        print("\n| head size, training " + heading)
        ids = corpus()
        for seed, heads in enumerate((8, 4, 2)):
            train(ids, heads, seed, options.seconds)


if __name__ == "__main__":
    main()
