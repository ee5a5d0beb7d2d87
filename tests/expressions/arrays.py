"""The same in numpy."""

from tests.expressions.written import ALL, AXIS, CLS, EVERY_LAYER, LAST_FOUR, PADDED, W, fails, lines

B, BT = "batch hidden", "batch tokens hidden"
X, M = "x = last_hidden_state.numpy()", "m = attention_mask.numpy()"
POOLED = {"layers": None, "tokens": None, "padding": None, "reduced": None}

WRITTEN = (
    W("last_hidden_state.numpy()[:, 0, :]", (2, 8), B, tokens=CLS),
    W("np.array(last_hidden_state[:, 0])", (2, 8), B, tokens=CLS),
    W("np.asarray(last_hidden_state)[:, 0]", (2, 8), B, tokens=CLS),
    W(lines(X, "x[0]"), (6, 8), "tokens hidden", AXIS, texts=(0,)),
    W(lines(X, "x[0]"), (6, 8), "tokens hidden", on="one"),
    W("last_hidden_state.numpy().astype(np.float64)[:, 0]", (2, 8), B, tokens=CLS),
    W("last_hidden_state.numpy().tolist()", None, padding=2),
    W("np.vstack([row[0].numpy() for row in last_hidden_state])", (2, 8), "* hidden", tokens=CLS),
    # means
    W("np.mean(last_hidden_state.numpy(), axis=1)", (2, 8), B, PADDED, padding=2, reduced=("tokens",)),
    W("np.mean(last_hidden_state.numpy(), axis=1)", (2, 8), B, on="even", reduced=("tokens",)),
    W(lines(X, "x.mean(1)"), (2, 8), B, PADDED, padding=2, reduced=("tokens",)),
    W(lines(X, "x.mean(axis=0)"), (6, 8), "tokens hidden", AXIS, padding=2, reduced=("batch",)),
    W(lines(X, "x.mean(axis=-1)"), (2, 6), "batch tokens", AXIS, padding=2, reduced=("hidden",)),
    W(lines(X, M, "m = m[:, :, None]", "(x * m).sum(axis=1) / m.sum(axis=1)"), (2, 8), B, reduced=("tokens",)),
    W(
        lines(X, M, "m = np.expand_dims(m, -1)", "np.sum(x * m, axis=1) / np.clip(m.sum(axis=1), 1e-9, None)"),
        (2, 8),
        B,
        reduced=("tokens",),
    ),
    W(lines(X, M, 'np.einsum("bth,bt->bh", x, m) / m.sum(1, keepdims=True)'), (2, 8), B, reduced=("tokens",)),
    W(lines(X, M, "np.array([h[k == 1].mean(axis=0) for h, k in zip(x, m)])"), (2, 8), "* hidden", reduced=("tokens",)),
    W(lines(X, M, "x[m.astype(bool)]"), (10, 8), "batch·tokens hidden"),
    W(lines(X, M, "x[m == 1].mean(axis=0)"), (8,), "hidden", AXIS, reduced=None),
    # largest
    W(lines(X, "x.max(axis=1)"), (2, 8), B, PADDED, padding=2, reduced=("tokens",)),
    W(lines(X, "np.max(x, axis=1)"), (2, 8), B, on="even", reduced=("tokens",)),
    W(lines(X, M, "np.where(m[..., None] == 1, x, -np.inf).max(axis=1)"), (2, 8), B, reduced=("tokens",)),
    # layers
    W(
        "np.concatenate([h.numpy() for h in hidden_states[-4:]], axis=-1)",
        (2, 6, 32),
        "batch tokens layers·hidden",
        layers=LAST_FOUR,
        padding=2,
    ),
    W(
        "np.concatenate([h[:, 0].numpy() for h in hidden_states[-4:]], axis=1)",
        (2, 32),
        "batch layers·hidden",
        layers=LAST_FOUR,
        tokens=CLS,
    ),
    W(
        "np.concatenate([h.numpy() for h in hidden_states[-4:]])",
        (8, 6, 8),
        "layers·batch tokens hidden",
        AXIS,
        layers=LAST_FOUR,
        padding=2,
    ),
    W(
        "np.stack([h.numpy() for h in hidden_states])",
        (5, 2, 6, 8),
        "layers batch tokens hidden",
        layers=EVERY_LAYER,
        padding=2,
    ),
    W(
        "np.stack([h.numpy() for h in hidden_states[1:]]).mean(axis=0)",
        (2, 6, 8),
        BT,
        layers=LAST_FOUR,
        padding=2,
        reduced=("layers",),
    ),
    W("np.hstack([h[:, 0].numpy() for h in hidden_states[-2:]])", (2, 16), "batch layers·hidden", layers=(3, 4), tokens=CLS),
    W(
        "np.array([h[:, 0].numpy() for h in hidden_states]).shape",
        None,
        "",
        texts=(),
        tokens=(),
        layers=(),
        hidden=(),
        reduced=None,
    ),
    # axes
    W(lines(X, "np.transpose(x, (1, 0, 2))[0]"), (2, 8), B, tokens=CLS),
    W(lines(X, "x.transpose(0, 2, 1)"), (2, 8, 6), "batch hidden tokens", padding=2),
    W(lines(X, "x.reshape(2, 8, 6)"), (2, 8, 6), "batch * *", AXIS, padding=2),
    W(lines(X, "x.reshape(2, -1)"), (2, 48), "batch tokens·hidden", padding=2),
    W(lines(X, "x.reshape(x.shape[0], -1)"), (1, 48), "batch tokens·hidden", on="one"),
    W(lines(X, "np.squeeze(x)"), (2, 6, 8), BT, AXIS, padding=2),
    W(lines(X, "np.squeeze(x)"), (6, 8), "tokens hidden", AXIS, on="one"),
    W(lines(X, "np.squeeze(x, axis=0)"), (6, 8), "tokens hidden", on="one"),
    W(lines(X, "x[:, 0][:, np.newaxis]"), (2, 1, 8), "batch 1 hidden", tokens=CLS),
    W(lines(X, "np.swapaxes(x, 0, 1)"), (6, 2, 8), "tokens batch hidden", padding=2),
    # similarity
    W(lines(X, "np.linalg.norm(x[:, 0], axis=1)"), (2,), "batch", tokens=CLS, reduced=("hidden",)),
    W(
        lines(X, "v = x[:, 0] / np.linalg.norm(x[:, 0], axis=1, keepdims=True)", "v @ v.T"),
        (2, 2),
        "batch batch",
        tokens=CLS,
        reduced=None,
    ),
    W(
        lines("a = pooler_output.numpy()", "np.dot(a[0], a[1]) / (np.linalg.norm(a[0]) * np.linalg.norm(a[1]))"),
        (),
        "",
        texts=ALL,
        hidden=ALL,
        **POOLED,
    ),
    W(lines(X, "np.argmax(x[:, 0], axis=-1)"), (2,), "batch", tokens=CLS, reduced=("hidden",)),
    # refused
    fails("AxisError", "np.mean(last_hidden_state.numpy(), axis=3)", AXIS),
    fails("ValueError", lines(X, M, "(x * m).sum(axis=1)"), AXIS),
    fails("ValueError", lines(X, "x.reshape(2, 768)"), AXIS),
)
