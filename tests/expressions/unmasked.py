"""Pooling over padding, over the wrong axis, and the same where it does no harm."""

from tests.expressions.written import AXIS, PADDED, W, lines

B = "batch hidden"
COUNTED = {"reduced": ("tokens",), "padding": 2}
HARMLESS = {"reduced": ("tokens",)}

WRITTEN = (
    W("last_hidden_state.mean(dim=1)", (2, 8), B, PADDED, **COUNTED),
    W("last_hidden_state.mean(dim=1)", (2, 8), B, on="even", **HARMLESS),
    W("last_hidden_state.mean(dim=1)", (1, 8), B, on="one", **HARMLESS),
    W("last_hidden_state.mean(dim=1)", (1, 8), B, PADDED, on="lonely", **COUNTED),
    W("last_hidden_state.mean(dim=1)", (2, 8), B, PADDED, on="left", **COUNTED),
    W("last_hidden_state.mean(dim=1)", (2, 8), B, PADDED, on="bare", **COUNTED),
    W("outputs[0].mean(1)", (3, 8), B, PADDED, on="three", reduced=("tokens",), padding=3),
    W("torch.mean(outputs.last_hidden_state, dim=1)", (2, 8), B, PADDED, **COUNTED),
    W("torch.mean(outputs.last_hidden_state, 1)", (2, 8), B, on="even", **HARMLESS),
    W("outputs.last_hidden_state.mean(axis=1).squeeze().detach().cpu().numpy()", (2, 8), B, AXIS, on="even", **HARMLESS),
    W("last_hidden_state.mean(-2)", (2, 8), B, PADDED, **COUNTED),
    W("last_hidden_state.sum(1)", (2, 8), B, PADDED, **COUNTED),
    W("last_hidden_state.sum(1)", (2, 8), B, on="even", **HARMLESS),
    W("last_hidden_state.sum(1) / attention_mask.sum(1, keepdim=True)", (2, 8), B, PADDED, **COUNTED),
    W("last_hidden_state.sum(1) / attention_mask.sum(1, keepdim=True)", (2, 8), B, on="even", **HARMLESS),
    W("last_hidden_state.max(1)[0]", (2, 8), B, PADDED, **COUNTED),
    W("torch.max(last_hidden_state, dim=1).values", (2, 8), B, PADDED, **COUNTED),
    W("last_hidden_state.max(dim=1).values", (2, 8), B, on="even", **HARMLESS),
    W("last_hidden_state.amin(1)", (1, 8), B, on="one", **HARMLESS),
    W(
        "torch.cat([last_hidden_state.mean(1), last_hidden_state.max(1).values], dim=-1)",
        (2, 16),
        "batch *",
        PADDED,
        padding=2,
        reduced=None,
    ),
    W(
        "torch.cat([last_hidden_state.mean(1), last_hidden_state.max(1).values], dim=-1)",
        (2, 16),
        "batch *",
        on="even",
        reduced=None,
    ),
    # zeros in place of padding are counted all the same
    W("(last_hidden_state * attention_mask.unsqueeze(-1)).mean(1)", (2, 8), B, PADDED, **HARMLESS),
    W("(last_hidden_state * attention_mask.unsqueeze(-1)).mean(1)", (2, 8), B, on="even", **HARMLESS),
    W("last_hidden_state.masked_fill(attention_mask.unsqueeze(-1) == 0, 0.0).mean(1)", (2, 8), B, PADDED, **HARMLESS),
    # the mask upside down
    W(
        lines("mask = (attention_mask == 0).unsqueeze(-1)", "(last_hidden_state * mask).sum(1)"),
        (2, 8),
        B,
        PADDED,
        texts=(1,),
        tokens=(4, 5),
        padding=2,
        reduced=("tokens",),
    ),
    # a mask that padding passes, as its segment is 0 too
    W("(last_hidden_state * (token_type_ids == 0).unsqueeze(-1)).sum(1)", (2, 8), B, PADDED, **COUNTED),
    W("(last_hidden_state * (token_type_ids == 0).unsqueeze(-1)).sum(1)", (2, 8), B, on="even", **HARMLESS),
    # weights that know nothing of padding
    W(
        lines(
            "weights = torch.softmax(last_hidden_state @ torch.ones(8), dim=1)",
            "(weights.unsqueeze(-1) * last_hidden_state).sum(1)",
        ),
        (2, 8),
        B,
        PADDED,
        padding=2,
        reduced=None,
    ),
    # the wrong axis
    W("last_hidden_state.mean(0)", (6, 8), "tokens hidden", AXIS, padding=2, reduced=("batch",)),
    W("last_hidden_state.mean(dim=-1)", (2, 6), "batch tokens", AXIS, padding=2, reduced=("hidden",)),
    W("torch.mean(last_hidden_state, 2)", (2, 6), "batch tokens", AXIS, padding=2, reduced=("hidden",)),
    W("last_hidden_state.mean()", (), "", AXIS, PADDED, padding=2, reduced=("batch", "tokens", "hidden")),
    W("last_hidden_state.mean((0, 1))", (8,), "hidden", AXIS, PADDED, padding=2, reduced=("batch", "tokens")),
    W("last_hidden_state[:, 0].mean(0)", (8,), "hidden", AXIS, tokens=(0,), reduced=("batch",)),
    W("last_hidden_state[0].mean(0)", (8,), "hidden", AXIS, texts=(0,), reduced=("tokens",)),
    W("last_hidden_state[0].mean(0)", (8,), "hidden", on="one", reduced=("tokens",)),
    W("last_hidden_state[attention_mask.bool()].mean(0)", (8,), "hidden", AXIS, reduced=None),
    W("last_hidden_state[0].mean(dim=0)", (8,), "hidden", PADDED, on="lonely", padding=2, reduced=("tokens",)),
)
