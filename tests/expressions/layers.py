"""Several layers: chosen, stacked, added, put side by side."""

from tests.expressions.written import CLS, EVERY_LAYER, LAST_FOUR, OFF_BY_ONE, W, lines

B, BT, LBT = "batch hidden", "batch tokens hidden", "layers batch tokens hidden"
WIDE = "batch tokens layers·hidden"
FOUR = {"layers": LAST_FOUR, "padding": 2}
FOUR_CLS = {"layers": LAST_FOUR, "tokens": CLS}

TUTORIAL = (
    "token_embeddings = torch.stack(hidden_states, dim=0)",
    "token_embeddings = torch.squeeze(token_embeddings, dim=1)",
    "token_embeddings = token_embeddings.permute(1, 0, 2)",
)

WRITTEN = (
    W("torch.stack(hidden_states)", (5, 2, 6, 8), LBT, layers=EVERY_LAYER, padding=2),
    W("torch.stack(hidden_states[-4:])", (4, 2, 6, 8), LBT, **FOUR),
    W("torch.stack(hidden_states[-4:]).mean(0)", (2, 6, 8), BT, reduced=("layers",), **FOUR),
    W("torch.stack(hidden_states[-4:]).sum(dim=0)", (2, 6, 8), BT, reduced=("layers",), **FOUR),
    W("torch.stack(hidden_states[-4:]).mean(0)[:, 0]", (2, 8), B, reduced=("layers",), **FOUR_CLS),
    W("torch.mean(torch.stack(hidden_states[1:]), dim=0)", (2, 6, 8), BT, reduced=("layers",), **FOUR),
    W("torch.stack(hidden_states[1:], dim=1)", (2, 4, 6, 8), "batch layers tokens hidden", **FOUR),
    W("torch.stack(hidden_states, dim=-1)", (2, 6, 8, 5), "batch tokens hidden layers", layers=EVERY_LAYER, padding=2),
    W("torch.stack(hidden_states).mean(0)[:, 0]", (2, 8), B, OFF_BY_ONE, layers=EVERY_LAYER, tokens=CLS, reduced=("layers",)),
    W("torch.max(torch.stack(hidden_states[-4:]), dim=0).values", (2, 6, 8), BT, reduced=("layers",), **FOUR),
    W("torch.stack(hidden_states)[-1, :, 0]", (2, 8), B, tokens=CLS),
    W("torch.stack(hidden_states)[[1, 3]].mean(0)[:, 0]", (2, 8), B, tokens=CLS, layers=(1, 3), reduced=("layers",)),
    W("hidden_states[-4:][0]", (2, 6, 8), BT, layers=(1,), padding=2),
    W("hidden_states[::-1][0][:, 0]", (2, 8), B, tokens=CLS),
    W("hidden_states[1:][2][:, 0]", (2, 8), B, tokens=CLS, layers=(3,)),
    W("hidden_states[len(hidden_states) - 2][:, 0]", (2, 8), B, tokens=CLS, layers=(3,)),
    # side by side
    W("torch.cat(hidden_states[-4:], dim=-1)", (2, 6, 32), WIDE, **FOUR),
    W("torch.cat(hidden_states[-4:], dim=-1)[:, 0]", (2, 32), "batch layers·hidden", **FOUR_CLS),
    W("torch.cat([hidden_states[i] for i in [-1, -2, -3, -4]], dim=-1)", (2, 6, 32), WIDE, **FOUR),
    W("torch.cat(tuple([hidden_states[i] for i in [-4, -3, -2, -1]]), dim=-1)", (2, 6, 32), WIDE, **FOUR),
    W(
        "torch.cat((hidden_states[-1], hidden_states[-2], hidden_states[-3], hidden_states[-4]), -1)[:, 0, :]",
        (2, 32),
        "batch layers·hidden",
        **FOUR_CLS,
    ),
    W("torch.cat([h[:, 0] for h in hidden_states[-4:]], dim=1)", (2, 32), "batch layers·hidden", **FOUR_CLS),
    W(
        lines("vecs = []", "for layer in hidden_states[-4:]:", "    vecs.append(layer[:, 0])", "torch.cat(vecs, dim=-1)"),
        (2, 32),
        "batch layers·hidden",
        **FOUR_CLS,
    ),
    W("torch.hstack([h[:, 0] for h in hidden_states[-4:]])", (2, 32), "batch layers·hidden", **FOUR_CLS),
    W("torch.cat(hidden_states[-4:], dim=-1)[:, 0, :8]", (2, 8), "batch *", layers=(1,), tokens=CLS),
    W(
        "torch.stack(hidden_states[-4:]).permute(1, 2, 0, 3).reshape(2, 6, -1)",
        (2, 6, 32),
        WIDE,
        **FOUR,
    ),
    W("torch.cat(hidden_states[-4:], dim=1)[:, 0]", (2, 8), B, layers=(1,), tokens=CLS),
    # one after the other
    W("torch.stack([h[:, 0] for h in hidden_states[-4:]]).mean(0)", (2, 8), B, reduced=("layers",), **FOUR_CLS),
    W("torch.stack([h[:, 0] for h in hidden_states[-4:]], dim=1)", (2, 4, 8), "batch layers hidden", **FOUR_CLS),
    W(
        "torch.stack([state[:, 0, :] for state in hidden_states], dim=0)",
        (5, 2, 8),
        "layers batch hidden",
        layers=EVERY_LAYER,
        tokens=CLS,
    ),
    # added
    W("sum(hidden_states[-4:])", (2, 6, 8), BT, reduced=None, **FOUR),
    W("sum([h[:, 0] for h in hidden_states[-4:]]) / 4", (2, 8), B, reduced=None, **FOUR_CLS),
    W("(hidden_states[1] + hidden_states[-1]) / 2", (2, 6, 8), BT, reduced=None, layers=(1, 4), padding=2),
    W(
        lines("total = torch.zeros(2, 6, 8)", "for h in hidden_states[1:]:", "    total += h", "total / 4"),
        (2, 6, 8),
        BT,
        reduced=None,
        **FOUR,
    ),
    W(
        lines("total = 0", "for i in range(1, 5):", "    total = total + hidden_states[i][:, 0]", "total / 4"),
        (2, 8),
        B,
        reduced=None,
        **FOUR_CLS,
    ),
    W("hidden_states[-1][:, 0] - hidden_states[-2][:, 0]", (2, 8), B, reduced=None, layers=(3, 4), tokens=CLS),
    # weighted
    W(
        lines(
            "weights = torch.tensor([0.1, 0.2, 0.3, 0.4])",
            "(torch.stack(hidden_states[-4:]) * weights.view(4, 1, 1, 1)).sum(0)",
        ),
        (2, 6, 8),
        BT,
        reduced=("layers",),
        **FOUR,
    ),
    W(
        lines(
            "weights = torch.tensor([0.0, 0.0, 1.0, 1.0])",
            "(torch.stack(hidden_states[-4:]) * weights.view(-1, 1, 1, 1)).sum(0) / 2",
        ),
        (2, 6, 8),
        BT,
        reduced=("layers",),
        layers=(3, 4),
        padding=2,
    ),
    W(
        'torch.einsum("l,lbth->bth", torch.softmax(torch.zeros(5), dim=0), torch.stack(hidden_states))',
        (2, 6, 8),
        BT,
        reduced=("layers",),
        layers=EVERY_LAYER,
        padding=2,
    ),
    W(
        lines("w = F.softmax(torch.ones(4), dim=0)", "sum([w[i] * h[:, 0] for i, h in enumerate(hidden_states[-4:])])"),
        (2, 8),
        B,
        reduced=None,
        **FOUR_CLS,
    ),
    # the well-known tutorial, on one text
    W(lines(*TUTORIAL), (6, 5, 8), "tokens layers hidden", on="one", layers=EVERY_LAYER),
    W(
        lines(
            *TUTORIAL,
            "token_vecs_cat = []",
            "for token in token_embeddings:",
            "    cat_vec = torch.cat((token[-1], token[-2], token[-3], token[-4]), dim=0)",
            "    token_vecs_cat.append(cat_vec)",
            "torch.stack(token_vecs_cat)",
        ),
        (6, 32),
        "tokens layers·hidden",
        on="one",
        layers=LAST_FOUR,
    ),
    W(
        lines(
            *TUTORIAL,
            "token_vecs_sum = []",
            "for token in token_embeddings:",
            "    sum_vec = torch.sum(token[-4:], dim=0)",
            "    token_vecs_sum.append(sum_vec)",
            "torch.stack(token_vecs_sum)",
        ),
        (6, 8),
        "tokens hidden",
        on="one",
        layers=LAST_FOUR,
        reduced=("layers",),
    ),
    W(
        lines("token_vecs = hidden_states[-2][0]", "torch.mean(token_vecs, dim=0)"),
        (8,),
        "hidden",
        on="one",
        layers=(3,),
        reduced=("tokens",),
    ),
    W(
        "torch.stack([layer[0][2] for layer in hidden_states])",
        (5, 8),
        "layers hidden",
        on="one",
        layers=EVERY_LAYER,
        tokens=(2,),
    ),
)
