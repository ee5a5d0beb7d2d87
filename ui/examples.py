"""Examples: expressions that people write, by the question behind them."""

from __future__ import annotations

MEAN = "(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1, keepdim=True)"

EXAMPLES: dict[str, dict[str, str]] = {
    "One vector per text": {
        "every [CLS] vector": "outputs.last_hidden_state[:, 0, :]",
        "mean over real tokens": MEAN,
        "the pooler's output": "outputs.pooler_output",
    },
    "Several layers": {
        "last four layers concatenated": "torch.cat(hidden_states[-4:], dim=-1)[:, 0]",
        "[CLS] averaged over four layers": "torch.stack([h[:, 0] for h in hidden_states[-4:]]).mean(0)",
        "the first layer": "hidden_states[1]",
        "[CLS] in every layer": "torch.stack(hidden_states)[:, :, 0]",
    },
    "Mistakes people make": {
        "output[0][0]": "output[0][0]",
        "mean over everything": "last_hidden_state.mean(dim=1)",
        "unpacking the outputs": "sequence, pooled = outputs\nsequence.shape",
        "the embeddings for layer 1": "hidden_states[0]",
        "a classifier on four layers": "features = torch.cat(hidden_states[-4:], dim=-1)[:, 0]\nnn.Linear(768, 2)(features)",
    },
}
"""Question -> name -> expression."""
