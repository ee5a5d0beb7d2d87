"""Axes turned, merged, split, put in and taken out, as they may be."""

from tests.expressions.written import AXIS, CLS, W, lines

B, BT = "batch hidden", "batch tokens hidden"
WHOLE = {"padding": 2}

WRITTEN = (
    # turned
    W("last_hidden_state.permute(0, 2, 1)", (2, 8, 6), "batch hidden tokens", **WHOLE),
    W("last_hidden_state.transpose(1, 2)", (2, 8, 6), "batch hidden tokens", **WHOLE),
    W("last_hidden_state.permute(1, 0, 2)", (6, 2, 8), "tokens batch hidden", **WHOLE),
    W("torch.transpose(last_hidden_state, 0, 1)", (6, 2, 8), "tokens batch hidden", **WHOLE),
    W("torch.movedim(last_hidden_state, 1, 0)", (6, 2, 8), "tokens batch hidden", **WHOLE),
    W("last_hidden_state.swapaxes(1, 2)", (2, 8, 6), "batch hidden tokens", **WHOLE),
    W("last_hidden_state.mT", (2, 8, 6), "batch hidden tokens", **WHOLE),
    W("last_hidden_state[:, 0].T", (8, 2), "hidden batch", tokens=CLS),
    W("last_hidden_state[:, 0].t()", (8, 2), "hidden batch", tokens=CLS),
    W("last_hidden_state.transpose(1, 2).contiguous().transpose(1, 2)[:, 0]", (2, 8), B, tokens=CLS),
    # merged
    W("last_hidden_state.reshape(-1, 8)", (12, 8), "batch·tokens hidden", **WHOLE),
    W("last_hidden_state.view(-1, last_hidden_state.size(-1))", (12, 8), "batch·tokens hidden", **WHOLE),
    W("last_hidden_state.view(-1, last_hidden_state.shape[-1])", (15, 8), "batch·tokens hidden", on="three", padding=3),
    W("last_hidden_state.flatten(0, 1)", (12, 8), "batch·tokens hidden", **WHOLE),
    W("last_hidden_state.view(2, -1)", (2, 48), "batch tokens·hidden", **WHOLE),
    W("last_hidden_state.flatten(1)", (2, 48), "batch tokens·hidden", **WHOLE),
    W("last_hidden_state.flatten(start_dim=1)", (1, 48), "batch tokens·hidden", on="one"),
    W("nn.Flatten()(last_hidden_state)", (2, 48), "batch tokens·hidden", **WHOLE),
    W("torch.flatten(last_hidden_state)", (96,), "batch·tokens·hidden", **WHOLE),
    W("last_hidden_state.reshape(-1, 8)[0]", (8,), "hidden", on="one", tokens=CLS),
    W("last_hidden_state.view(2, -1).view(2, 6, 8)[:, 0]", (2, 8), B, tokens=CLS),
    W("last_hidden_state.reshape(-1, 8).reshape(2, 6, 8)[:, 0]", (2, 8), B, tokens=CLS),
    # split
    W("last_hidden_state.view(2, 6, 2, 4)", (2, 6, 2, 4), "batch tokens * *", **WHOLE),
    W("last_hidden_state.view(2, 6, 2, 4).transpose(1, 2)", (2, 2, 6, 4), "batch * tokens *", **WHOLE),
    W("last_hidden_state.chunk(2, dim=-1)[0]", (2, 6, 4), BT, hidden=range(4), **WHOLE),
    W("torch.split(last_hidden_state, 3, dim=1)[0]", (2, 3, 8), BT, tokens=range(3)),
    W("last_hidden_state.split(3, dim=1)[1]", (2, 3, 8), BT, tokens=range(3, 6), **WHOLE),
    # put in
    W("last_hidden_state.unsqueeze(0)", (1, 2, 6, 8), "1 batch tokens hidden", **WHOLE),
    W("last_hidden_state[:, None]", (2, 1, 6, 8), "batch 1 tokens hidden", **WHOLE),
    W("last_hidden_state[:, 0].unsqueeze(1)", (2, 1, 8), "batch 1 hidden", tokens=CLS),
    W("last_hidden_state[..., None]", (2, 6, 8, 1), "batch tokens hidden 1", **WHOLE),
    W("last_hidden_state[:, 0].unsqueeze(1).expand(-1, 6, -1)", (2, 6, 8), "batch * hidden", tokens=CLS),
    W("last_hidden_state[:, :1].repeat(1, 3, 1)", (2, 3, 8), "batch * hidden", tokens=CLS),
    # taken out
    W("last_hidden_state.squeeze()", (2, 6, 8), BT, AXIS, **WHOLE),
    W("last_hidden_state.squeeze(0)", (6, 8), "tokens hidden", on="one"),
    W("last_hidden_state.squeeze(1)", (2, 6, 8), BT, **WHOLE),
    W("last_hidden_state[:, :1].squeeze(1)", (1, 8), B, on="one", tokens=CLS),
    W("last_hidden_state[:, :1].squeeze()", (2, 8), B, AXIS, tokens=CLS),
    W("last_hidden_state.unsqueeze(1).squeeze(1)", (1, 6, 8), BT, on="one"),
    # taken apart
    W(lines("a, b = last_hidden_state", "torch.stack([a, b])[:, 0]"), (2, 8), "* hidden", tokens=CLS),
    W(
        lines("cls, rest = last_hidden_state[:, :1], last_hidden_state[:, 1:]", "rest"),
        (2, 5, 8),
        BT,
        tokens=range(1, 6),
        **WHOLE,
    ),
    W(
        lines("cls = last_hidden_state[:, :1]", "torch.cat([cls, last_hidden_state[:, 1:]], dim=1)"),
        (2, 6, 8),
        BT,
        **WHOLE,
    ),
    W("torch.roll(last_hidden_state, 1, dims=1)[:, 1]", (2, 8), B, tokens=CLS),
    W("last_hidden_state.clone()[:, 0].contiguous()", (2, 8), B, tokens=CLS),
    W("last_hidden_state[:, 0].double()", (2, 8), B, tokens=CLS),
    W("last_hidden_state[:, 0].half()", (2, 8), B, tokens=CLS),
)
