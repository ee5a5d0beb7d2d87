"""Tensors that are written into: all that shares their memory changes with them, a copy does not."""

from tests.expressions.pooled import LARGEST
from tests.expressions.written import CLS, OFF_BY_ONE, PADDED, W, lines

B, BT = "batch hidden", "batch tokens hidden"
MEAN = {"reduced": ("tokens",)}
KEPT = {"tokens": CLS}
"""Of the first two tokens the second was written over."""

GONE = {"texts": (), "tokens": (), "layers": (), "hidden": ()}

WRITTEN = (
    # under another name
    W(lines(*LARGEST, "hidden_states[-1].max(dim=1).values"), (2, 8), B, **MEAN),
    W(lines(*LARGEST, "last_hidden_state.max(dim=1).values"), (2, 8), B, on="left", **MEAN),
    W(
        lines("mask = attention_mask", "mask[:, 0] = 0", "(last_hidden_state * attention_mask[..., None]).sum(1)"),
        (2, 8),
        B,
        tokens=range(1, 6),
        **MEAN,
    ),
    W(lines("x = outputs[0]", "x += 1", "last_hidden_state[:, 0]"), (2, 8), B, tokens=CLS),
    W(lines("x = outputs[0]", "x = x + 1", "last_hidden_state[:, 0]"), (2, 8), B, tokens=CLS),
    W(
        lines("total = hidden_states[1]", "for h in hidden_states[2:]:", "    total += h", "hidden_states[1][:, 0]"),
        (2, 8),
        B,
        tokens=CLS,
        layers=(1, 2, 3, 4),
        reduced=None,
    ),
    W(
        lines("total = hidden_states[1].clone()", "for h in hidden_states[2:]:", "    total += h", "hidden_states[1][:, 0]"),
        (2, 8),
        B,
        tokens=CLS,
        layers=(1,),
    ),
    W(
        lines("def clean(h):", "    h[:, 1] = 0", "    return h", "", "clean(outputs[0])", "last_hidden_state[:, :2]"),
        (2, 2, 8),
        BT,
        **KEPT,
    ),
    # through a view
    W(lines("x = outputs[0][:, 0]", "x[0] = 0", "last_hidden_state[:, 0]"), (2, 8), B, texts=(1,), tokens=CLS),
    W(lines("x = last_hidden_state.numpy()", "x[:, 1] = 0", "last_hidden_state[:, :2]"), (2, 2, 8), BT, **KEPT),
    W(lines("x = torch.from_numpy(last_hidden_state.numpy())", "x[:, 1] = 0", "outputs[0][:, :2]"), (2, 2, 8), BT, **KEPT),
    W(lines("x = outputs[0].permute(1, 0, 2)", "x[1] = 0", "hidden_states[-1][:, :2]"), (2, 2, 8), BT, **KEPT),
    W(lines("x = outputs[0].reshape(-1, 8)", "x[0] = 0", "last_hidden_state[:, 0]"), (2, 8), B, texts=(1,), tokens=CLS),
    W(
        lines(
            "mask = attention_mask.unsqueeze(-1)", "mask[:, 0] = 0", "(last_hidden_state * attention_mask[..., None]).sum(1)"
        ),
        (2, 8),
        B,
        tokens=range(1, 6),
        **MEAN,
    ),
    W(
        lines("x = last_hidden_state", "for row in x:", "    row[0] = 0", "x.sum(1)"),
        (2, 8),
        B,
        PADDED,
        tokens=range(1, 6),
        padding=2,
        **MEAN,
    ),
    W(
        lines("x = outputs[0]", "x[:, 1] = hidden_states[1][:, 0]", "last_hidden_state[:, 1]"),
        (2, 8),
        "* *",
        tokens=CLS,
        layers=(1,),
    ),
    # a copy stays
    W(lines("x = outputs[0].clone()", "x[:, 0] = 0", "last_hidden_state[:, 0]"), (2, 8), B, tokens=CLS),
    W(lines("x = outputs[0].clone()", "x[:, 0] = 0", "x[:, 0]"), (2, 8), "* *", **GONE),
    W(lines("x = np.array(last_hidden_state)", "x[:, 0] = 0", "last_hidden_state[:, 0]"), (2, 8), B, tokens=CLS),
    W(lines("x = torch.tensor(last_hidden_state.numpy())", "x[:, 0] = 0", "outputs[0][:, 0]"), (2, 8), B, tokens=CLS),
    W(lines("x = outputs[0].transpose(0, 1).reshape(-1, 8)", "x[0] = 0", "outputs[0][:, 0]"), (2, 8), B, tokens=CLS),
    W(
        lines("m = attention_mask.bool()", "m[:, 0] = False", "last_hidden_state[attention_mask.bool()]"),
        (10, 8),
        "batch·tokens hidden",
    ),
    W(
        lines("x = hidden_states[0]", "x = x + 1", "hidden_states[0][:, 0]"),
        (2, 8),
        B,
        OFF_BY_ONE,
        tokens=CLS,
        layers=(0,),
    ),
)
