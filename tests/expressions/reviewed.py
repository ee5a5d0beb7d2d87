"""Pasted from notebooks and forums: imports, loops over the texts, similarities, and what PyTorch refuses of them."""

from tests.expressions.written import AT_PADDING, AXIS, LAST_FOUR, PADDED, W, fails, lines

B = "batch hidden"
MEAN = {"reduced": ("tokens",)}
OF_NUMPY = lines(
    "weights = attention_mask.numpy()[..., None]",
    "np.nanmean(np.where(weights == 1, last_hidden_state.numpy(), np.nan), axis=1)",
)

SUM = "(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1)"
WIDTH = ("6", "last_hidden_state.shape[1]", "attention_mask.size(1)")
FIRST = (
    "last_hidden_state[[0, 1], [0, 0]]",
    "last_hidden_state[torch.arange(2), 0]",
    "last_hidden_state[:, [0]]",
    "last_hidden_state[None, :, 0]",
    "last_hidden_state.index_select(1, torch.tensor([0])).squeeze(1)",
    "last_hidden_state.gather(1, torch.zeros(2, 1, 8).long()).squeeze(1)",
    "last_hidden_state.flatten(0, 1)[::6]",
    "last_hidden_state.view(2, -1)[:, :8]",
)
"""Position 0 by other ways than [:, 0]."""

WRITTEN = (
    # the last real token of every text
    W("last_hidden_state[range(2), attention_mask.sum(1) - 1]", (2, 8), B, tokens=(3, 5)),
    W(OF_NUMPY, (2, 8), B, **MEAN),
    W(OF_NUMPY, (1, 8), B, on="one", **MEAN),
    W("torch.tensor([last_hidden_state[0, 0, 0], last_hidden_state[1, 0, 0]])", (2,), "batch", tokens=(0,), hidden=(0,)),
    fails("ValueError", "torch.tensor(hidden_states)", AXIS),
    fails("ValueError", "torch.tensor([last_hidden_state[0, 0], last_hidden_state[1, 0]])", AXIS),
    # a distance is no product: a zero on one side hides nothing of the other
    W("torch.cdist(last_hidden_state[:, 0], last_hidden_state[:, 0] * 0)", (2, 2), "batch *", tokens=(0,), reduced=("hidden",)),
    W("torch.cdist(torch.zeros(2, 8), last_hidden_state[:, 0])", (2, 2), "* batch", tokens=(0,), reduced=("hidden",)),
    # one vector against another has no axis 1
    fails("IndexError", "F.cosine_similarity(pooler_output[0], pooler_output[1])", AXIS),
    W("F.cosine_similarity(last_hidden_state[0, 0], last_hidden_state[1, 0], dim=-1)", (), "", tokens=(0,), reduced=None),
    W("F.normalize(last_hidden_state[:, 0], p=1, dim=0)", (2, 8), B, AXIS, tokens=(0,)),
    W("F.normalize(last_hidden_state[:, 0], p=1, dim=-1)", (2, 8), B, tokens=(0,)),
    # the pooler has chosen the token already
    fails("TypeError", "last_hidden_state.mean(dims=1)", AXIS),
    # whole numbers and floats: no axis is at fault
    fails("RuntimeError", 'torch.einsum("bth,bt->bh", last_hidden_state, attention_mask)'),
    # what a loop leaves behind is of the last text
    W(lines("for vec in last_hidden_state[:, 0]:", "    n = vec.norm()", "vec"), (8,), "hidden", AXIS, texts=(1,), tokens=(0,)),
    # divided by the width, or by the tokens of all texts, and where that is the same
    *(W(f"{SUM} / {by}", (2, 8), B, PADDED, reduced=("tokens",)) for by in WIDTH),
    *(W(f"{SUM} / {by}", (2, 8), B, on="even", **MEAN) for by in WIDTH),
    W(f"{SUM} / attention_mask.sum()", (2, 8), B, PADDED, **MEAN),
    W(f"{SUM} / attention_mask.sum()", (1, 8), B, on="lonely", tokens=(0, 1, 2, 3), **MEAN),
    # padding that no reduction counts
    W("sum(last_hidden_state[:, i] for i in range(6)) / 6", (2, 8), B, PADDED, padding=2),
    W("sum(last_hidden_state[:, i] for i in range(6)) / 6", (2, 8), B, on="even"),
    W("last_hidden_state.norm(dim=1)", (2, 8), B, PADDED, padding=2, **MEAN),
    W("last_hidden_state.norm(dim=1)", (2, 8), B, on="even", **MEAN),
    *(W(one, None, "", AT_PADDING, on="left", tokens=(0,), padding=1, reduced=None) for one in FIRST),
    *(W(one, None, "", tokens=(0,), on="even", reduced=None) for one in FIRST),
    # a hidden unit for a token
    W("pooler_output[:, 0]", (2,), "batch", AXIS, tokens=(), layers=(), hidden=(0,)),
    W("pooler_output[:, :1]", (2, 1), B, tokens=(), layers=(), hidden=(0,)),
    # the mask the wrong way round
    W(
        "last_hidden_state.masked_fill(attention_mask.unsqueeze(-1) == 1, 0).sum(1)",
        (2, 8),
        B,
        PADDED,
        texts=(1,),
        tokens=(4, 5),
        padding=2,
        **MEAN,
    ),
    W(
        "torch.cat(tuple([hidden_states[i] for i in [-4, -3, -2, -1]]), -1)[:, 0]",
        (2, 32),
        "batch *",
        tokens=(0,),
        layers=LAST_FOUR,
    ),
)
