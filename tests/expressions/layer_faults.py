"""Layers miscounted, and a tuple taken for a tensor."""

from tests.expressions.layers import TUTORIAL
from tests.expressions.written import AXIS, CLS, EVERY_LAYER, FIELD, LAST_FOUR, OFF_BY_ONE, PADDED, W, fails, lines

B, BT = "batch hidden", "batch tokens hidden"

WRITTEN = (
    # the embeddings for the first layer
    W("hidden_states[0][:, 0]", (2, 8), B, OFF_BY_ONE, layers=(0,), tokens=CLS),
    W("hidden_states[1][:, 0]", (2, 8), B, layers=(1,), tokens=CLS),
    W("outputs.hidden_states[0]", (2, 6, 8), BT, OFF_BY_ONE, layers=(0,), padding=2),
    W("outputs.hidden_states[1]", (2, 6, 8), BT, layers=(1,), padding=2),
    W("outputs[2][0][:, 0, :]", (2, 8), B, OFF_BY_ONE, layers=(0,), tokens=CLS),
    W("outputs[2][1][:, 0, :]", (2, 8), B, layers=(1,), tokens=CLS),
    # more layers than there are
    fails("IndexError", "hidden_states[5]", OFF_BY_ONE),
    W("hidden_states[4]", (2, 6, 8), BT, padding=2),
    fails("IndexError", "hidden_states[13][:, 0]", OFF_BY_ONE),
    fails("IndexError", "outputs.hidden_states[-6]", OFF_BY_ONE),
    W("outputs.hidden_states[-5][:, 0] + hidden_states[-1][:, 0]", (2, 8), B, layers=(0, 4), tokens=CLS, reduced=None),
    # a tuple is no tensor
    fails("TypeError", "hidden_states[:, 0]", FIELD),
    fails("TypeError", "outputs.hidden_states[-1, :, 0]", FIELD),
    fails("AttributeError", "hidden_states.mean(0)", FIELD),
    fails("AttributeError", "hidden_states[-4:].sum(dim=0)", FIELD),
    fails("AttributeError", "outputs[2].shape", FIELD),
    fails("TypeError", "torch.mean(hidden_states[-4:], dim=0)", FIELD),
    W("torch.stack(hidden_states)[-1, :, 0]", (3, 8), B, on="three", tokens=CLS),
    # the wrong axis of the stack, or of the row
    W("torch.cat(hidden_states[-4:])", (8, 6, 8), "layers·batch tokens hidden", AXIS, layers=LAST_FOUR, padding=2),
    W("torch.cat(hidden_states[-4:], dim=0)[:, 0]", (8, 8), "layers·batch hidden", AXIS, layers=LAST_FOUR, tokens=CLS),
    W(
        "torch.stack(hidden_states[-4:]).mean(1)",
        (4, 6, 8),
        "layers tokens hidden",
        AXIS,
        layers=LAST_FOUR,
        padding=2,
        reduced=("batch",),
    ),
    W(
        "torch.stack(hidden_states[-4:]).view(2, 6, -1)",
        (2, 6, 32),
        "* * *",
        AXIS,
        layers=LAST_FOUR,
        padding=2,
    ),
    W("torch.stack(hidden_states).view(2, 5, 6, 8)", (2, 5, 6, 8), "* * * *", AXIS, layers=EVERY_LAYER, padding=2),
    W("torch.stack(hidden_states).transpose(0, 1)", (2, 5, 6, 8), "batch layers tokens hidden", layers=EVERY_LAYER, padding=2),
    W(
        "torch.stack(hidden_states).permute(1, 0, 2, 3)",
        (2, 5, 6, 8),
        "batch layers tokens hidden",
        layers=EVERY_LAYER,
        padding=2,
    ),
    fails("IndexError", "torch.stack(hidden_states[-4:], dim=4)", AXIS),
    # padding in the mean of several layers
    W(
        "torch.cat(hidden_states[-4:], dim=-1).mean(1)",
        (2, 32),
        "batch layers·hidden",
        PADDED,
        layers=LAST_FOUR,
        padding=2,
        reduced=("tokens",),
    ),
    W(
        "torch.cat(hidden_states[-4:], dim=-1).mean(1)",
        (2, 32),
        "batch layers·hidden",
        on="even",
        layers=LAST_FOUR,
        reduced=("tokens",),
    ),
    W(
        lines("mask = attention_mask.unsqueeze(-1)", "(torch.cat(hidden_states[-4:], -1) * mask).sum(1) / mask.sum(1)"),
        (2, 32),
        "batch layers·hidden",
        layers=LAST_FOUR,
        reduced=("tokens",),
    ),
    W(
        "torch.stack([h.mean(1) for h in hidden_states[-4:]]).mean(0)",
        (2, 8),
        B,
        PADDED,
        layers=LAST_FOUR,
        padding=2,
        reduced=("tokens", "layers"),
    ),
    W(
        "torch.stack([h.mean(1) for h in hidden_states[-4:]]).mean(0)",
        (1, 8),
        B,
        on="one",
        layers=LAST_FOUR,
        reduced=("tokens", "layers"),
    ),
    W(
        "torch.stack(hidden_states[-4:]).mean((0, 2))",
        (2, 8),
        B,
        PADDED,
        layers=LAST_FOUR,
        padding=2,
        reduced=("layers", "tokens"),
    ),
    W("torch.stack(hidden_states[-4:]).mean(0).mean(1)", (2, 8), B, on="even", layers=LAST_FOUR, reduced=("layers", "tokens")),
    W("torch.cat(hidden_states[-4:], dim=1).mean(1)", (2, 8), B, on="even", layers=LAST_FOUR, reduced=None),
    W("hidden_states[-2].mean(dim=1)", (2, 8), B, PADDED, layers=(3,), padding=2, reduced=("tokens",)),
    W(
        "(hidden_states[-2] * attention_mask[..., None]).sum(1) / attention_mask.sum(1)[:, None]",
        (2, 8),
        B,
        layers=(3,),
        reduced=("tokens",),
    ),
    # the well-known tutorial is for one text
    fails("RuntimeError", lines(*TUTORIAL), AXIS),
    W(
        lines("token_vecs = hidden_states[-2][0]", "torch.mean(token_vecs, dim=0)"),
        (8,),
        "hidden",
        AXIS,
        texts=(0,),
        layers=(3,),
        reduced=("tokens",),
    ),
)
