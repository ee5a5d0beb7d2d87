"""Layers put on top: linear ones that fit or not, activations, what is chosen by size."""

from tests.expressions.written import AXIS, CLS, FRESH, LAST_FOUR, PADDED, W, fails, lines

B = "batch hidden"
NEW = {"reduced": None, "fresh": True}
POOLED = {"layers": None, "tokens": None, "padding": None}

WRITTEN = (
    W("nn.Linear(8, 2)(last_hidden_state[:, 0])", (2, 2), "batch *", FRESH, tokens=CLS, **NEW),
    fails("RuntimeError", "nn.Linear(768, 2)(last_hidden_state[:, 0])", AXIS),
    W(
        "nn.Linear(32, 5)(torch.cat(hidden_states[-4:], dim=-1)[:, 0])",
        (2, 5),
        "batch *",
        FRESH,
        layers=LAST_FOUR,
        tokens=CLS,
        **NEW,
    ),
    fails("RuntimeError", "nn.Linear(8, 5)(torch.cat(hidden_states[-4:], dim=-1)[:, 0])", AXIS),
    fails("RuntimeError", "nn.Linear(32, 5)(torch.stack([h[:, 0] for h in hidden_states[-4:]]).mean(0))", AXIS),
    W(
        lines("classifier = nn.Linear(8, 3)", "logits = classifier(pooler_output)", "torch.softmax(logits, dim=-1)"),
        (2, 3),
        "batch *",
        FRESH,
        **POOLED,
        **NEW,
    ),
    W(
        lines("logits = nn.Linear(8, 3)(outputs[1])", "logits.softmax(-1).sum(-1).shape"),
        None,
        "",
        FRESH,
        texts=(),
        tokens=(),
        layers=(),
        hidden=(),
        **NEW,
    ),
    W("nn.Linear(8, 2)(last_hidden_state)", (2, 6, 2), "batch tokens *", FRESH, padding=2, **NEW),
    W("nn.Linear(48, 2)(last_hidden_state.flatten(1))", (2, 2), "batch *", FRESH, padding=2, **NEW),
    fails("RuntimeError", "nn.Linear(8, 2)(last_hidden_state.flatten(1))", AXIS),
    fails("RuntimeError", "nn.Linear(6, 2)(last_hidden_state)", AXIS),
    W("nn.Linear(8, 2)(last_hidden_state.mean(1))", (2, 2), "batch *", FRESH, PADDED, padding=2, **NEW),
    W("nn.Linear(8, 2)(last_hidden_state.mean(1))", (2, 2), "batch *", FRESH, on="even", **NEW),
    W(
        lines("head = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))", "head(last_hidden_state[:, 0, :])"),
        (2, 2),
        "batch *",
        FRESH,
        tokens=CLS,
        **NEW,
    ),
    W("torch.tanh(nn.Linear(8, 8)(last_hidden_state[:, 0]))", (2, 8), "batch *", FRESH, tokens=CLS, **NEW),
    W("F.linear(last_hidden_state[:, 0], torch.ones(2, 8))", (2, 2), "batch *", tokens=CLS, reduced=None),
    W("last_hidden_state[:, 0] @ torch.ones(8, 2)", (2, 2), "batch *", tokens=CLS, reduced=None),
    fails("RuntimeError", "last_hidden_state[:, 0] @ torch.ones(768, 2)", AXIS),
    # no weights drawn
    W("F.layer_norm(last_hidden_state, (8,))[:, 0]", (2, 8), B, tokens=CLS, reduced=None),
    W("nn.LayerNorm(8)(last_hidden_state)", (2, 6, 8), "batch tokens hidden", padding=2, reduced=None),
    W("torch.tanh(last_hidden_state[:, 0] * 0.01)", (2, 8), B, tokens=CLS),
    W("F.relu(last_hidden_state[:, 0])", (2, 8), B, tokens=CLS),
    W("nn.GELU()(last_hidden_state[:, 0])", (2, 8), B, tokens=CLS),
    W("F.dropout(last_hidden_state[:, 0], p=0.1, training=False)", (2, 8), B, tokens=CLS),
    W("last_hidden_state[:, 0].clamp(-1, 1)", (2, 8), B, tokens=CLS),
    W("(last_hidden_state[:, 0] > 0).float()", (2, 8), B, tokens=CLS),
    W("torch.softmax(last_hidden_state[:, 0], dim=-1)", (2, 8), B, tokens=CLS, reduced=None),
    # by size
    W("last_hidden_state[:, 0].topk(3, dim=-1).values", (2, 3), "batch *", tokens=CLS, reduced=None),
    W("torch.topk(last_hidden_state[:, 0], 3).indices", (2, 3), "batch *", tokens=CLS, reduced=None),
    W("torch.sort(last_hidden_state[:, 0], dim=-1, descending=True)[0]", (2, 8), "batch *", tokens=CLS, reduced=None),
    W("last_hidden_state[:, 0].argmax(-1)", (2,), "batch", tokens=CLS, reduced=("hidden",)),
    W("torch.argsort(last_hidden_state[:, 0], dim=-1)", (2, 8), "batch *", tokens=CLS, reduced=None),
    W("last_hidden_state[:, 0].median(-1).values", (2,), "batch", AXIS, tokens=CLS, reduced=("hidden",)),
    W("last_hidden_state[:, 0].abs().max()", (), "", tokens=CLS, reduced=("batch", "hidden"), on="one"),
)
