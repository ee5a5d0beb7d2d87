"""Axes cut across, lost, or taken for another; the healthy twins are in `axes`."""

from tests.expressions.written import AXIS, CLS, W, fails

WRITTEN = (
    # a view where an exchange of axes was meant
    W("last_hidden_state.view(2, 8, 6)", (2, 8, 6), "batch * *", AXIS, padding=2),
    W("last_hidden_state.reshape(6, 2, 8)", (6, 2, 8), "* * *", AXIS, padding=2),
    W("last_hidden_state.view(-1, 6)", (16, 6), "* *", AXIS, padding=2),
    W("last_hidden_state.reshape(8, -1)", (8, 12), "* *", AXIS, padding=2),
    W("torch.reshape(last_hidden_state, (6, 2, 8))[0]", (2, 8), "* *", AXIS, texts=(0,), tokens=(0, 1)),
    W("last_hidden_state.view(3, 4, 8)", (3, 4, 8), "* * hidden", AXIS, padding=2),
    fails("RuntimeError", "last_hidden_state.view(2, 768)", AXIS),
    fails("RuntimeError", "last_hidden_state.transpose(1, 2).view(2, -1)", AXIS),
    W("last_hidden_state.transpose(1, 2).reshape(2, -1)", (2, 48), "batch hidden·tokens", padding=2),
    # squeezed
    W("last_hidden_state.squeeze()", (6, 8), "tokens hidden", AXIS, on="one"),
    W("last_hidden_state[:, 0].squeeze()", (8,), "hidden", AXIS, on="one", tokens=CLS),
    W("last_hidden_state[:, 0].squeeze()", (2, 8), "batch hidden", AXIS, tokens=CLS),
    W("torch.squeeze(last_hidden_state[:, :1])", (8,), "hidden", AXIS, on="one", tokens=CLS),
    W("outputs[0].mean(1).squeeze().numpy()", (8,), "hidden", AXIS, on="one", reduced=("tokens",)),
    # one text
    W("torch.unbind(last_hidden_state, 0)[1]", (6, 8), "tokens hidden", AXIS, texts=(1,), padding=2),
    W("last_hidden_state[0].T", (8, 6), "hidden tokens", AXIS, texts=(0,)),
    W("last_hidden_state[:, 0][0]", (8,), "hidden", AXIS, texts=(0,), tokens=CLS),
    W("last_hidden_state.reshape(-1, 8)[0]", (8,), "hidden", AXIS, texts=(0,), tokens=CLS),
    # a unit taken for a vector
    W("last_hidden_state[:, 0][:, 0]", (2,), "batch", AXIS, tokens=CLS, hidden=(0,)),
    W("last_hidden_state[:, 0][:, :3]", (2, 3), "batch hidden", tokens=CLS, hidden=(0, 1, 2)),
    # lengths over the texts
    W("v = last_hidden_state[:, 0]\nv / v.norm(dim=0)", (2, 8), "batch hidden", AXIS, tokens=CLS),
    W("v = last_hidden_state[:, 0]\nv / v.norm(dim=-1, keepdim=True)", (2, 8), "batch hidden", tokens=CLS),
    # axes that are not there
    fails("IndexError", "last_hidden_state[:, 0, 0, 0]", AXIS),
    fails("IndexError", "last_hidden_state.mean(3)", AXIS),
    fails("IndexError", "pooler_output[:, 0, :]", AXIS),
    fails("RuntimeError", "last_hidden_state.permute(1, 0)", AXIS),
    fails("RuntimeError", "torch.cat([last_hidden_state, pooler_output], dim=1)", AXIS),
    fails("ValueError", "a, b = last_hidden_state", AXIS, on="three"),
)
