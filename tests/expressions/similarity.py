"""Norms, products and similarities."""

from tests.expressions.written import AXIS, CLS, W, lines

B = "batch hidden"
C = {"tokens": CLS, "reduced": None}
V = "v = last_hidden_state[:, 0]"
UNIT = "v = F.normalize(last_hidden_state[:, 0], p=2, dim=1)"
FEW = "which of two texts is the nearer may turn on no single cell"
SAME = "both are one tensor, and stay equal whatever is in it"
POOLED = {"layers": None, "tokens": None, "padding": None, "reduced": None}

WRITTEN = (
    W(lines(V, "F.cosine_similarity(v[0], v[1], dim=0)"), (), "", **C),
    W(lines(V, "torch.cosine_similarity(v[0:1], v[1:2])"), (1,), "*", **C),
    W(lines(V, "nn.CosineSimilarity(dim=0)(v[0], v[1])"), (), "", **C),
    W(lines(V, "F.cosine_similarity(v[0].unsqueeze(0), v[1].unsqueeze(0)).item()"), (), "", **C),
    W(lines(UNIT, "v @ v.T"), (2, 2), "batch batch", **C),
    W(lines(UNIT, "torch.mm(v, v.transpose(0, 1))"), (3, 3), "batch batch", on="three", **C),
    W(lines(V, "v = v / v.norm(dim=1, keepdim=True)", "torch.matmul(v, v.t())"), (2, 2), "batch batch", **C),
    W(lines(V, "v / torch.linalg.norm(v, dim=-1, keepdim=True)"), (2, 8), B, **C),
    W(lines(V, "F.cosine_similarity(v.unsqueeze(1), v.unsqueeze(0), dim=-1)"), (2, 2), "batch batch", **C),
    W(lines(V, "torch.cdist(v, v)"), (2, 2), "batch batch", **C),
    W(lines(V, 'torch.einsum("ih,jh->ij", v, v)'), (2, 2), "batch batch", **C),
    W("F.normalize(last_hidden_state[:, 0], p=2, dim=1)", (2, 8), B, **C),
    W("F.normalize(last_hidden_state[:, 0], dim=-1)", (2, 8), B, **C),
    W("F.normalize(last_hidden_state[:, 0], p=2, dim=0)", (2, 8), B, AXIS, **C),
    W("F.normalize(pooler_output, p=2, dim=1)", (2, 8), B, **POOLED),
    W("torch.norm(last_hidden_state[:, 0], dim=1)", (2,), "batch", tokens=CLS, reduced=("hidden",)),
    W("last_hidden_state.norm(dim=-1)", (2, 6), "batch tokens", padding=2, reduced=("hidden",)),
    W("last_hidden_state[:, 0].pow(2).sum(-1).sqrt()", (2,), "batch", tokens=CLS, reduced=("hidden",)),
    W(lines(V, "torch.dot(v[0], v[1])"), (), "", **C),
    W(lines(V, "(v[0] * v[1]).sum().item()"), (), "", **C),
    W(lines(V, "(v[0] - v[1]).norm()"), (), "", **C),
    W(lines(V, "1 - F.cosine_similarity(v[0], v[1], dim=-1)"), (), "", **C),
    W(lines(V, "cosine_similarity([v[0].numpy()], [v[1].numpy()])"), (1, 1), "* *", **C),
    W(lines(V, "cosine_similarity(v)"), (3, 3), "batch batch", on="three", **C),
    W(
        "np.mean([h[:, 0].numpy() for h in hidden_states[-2:]], axis=0)",
        (2, 8),
        B,
        layers=(3, 4),
        tokens=CLS,
        reduced=("layers",),
    ),
    # one against the others
    W(lines(V, "v[:1] @ v[1:].T"), (1, 2), "batch batch", on="three", **C),
    W(lines(V, "scores = F.cosine_similarity(v[:1], v[1:])", "scores.argmax()"), (), "", on="three", unseen=FEW, **C),
    W(lines(V, "F.cosine_similarity(v[:1], v[1:]).topk(2).indices"), (2,), "*", on="three", unseen=FEW, **C),
    # token against token
    W("last_hidden_state @ last_hidden_state.transpose(1, 2)", (2, 6, 6), "batch tokens tokens", padding=2, reduced=None),
    W(
        "torch.bmm(last_hidden_state, last_hidden_state.transpose(-1, -2)) / 8 ** 0.5",
        (2, 6, 6),
        "batch tokens tokens",
        padding=2,
        reduced=None,
    ),
    W(
        "F.cosine_similarity(hidden_states[1][:, 0], hidden_states[-1][:, 0], dim=-1)",
        (2,),
        "batch",
        layers=(1, 4),
        tokens=CLS,
        reduced=("hidden",),
    ),
    W("(outputs[0] - hidden_states[-2]).abs().amax(-1)", (2, 6), "batch tokens", layers=(3, 4), padding=2, reduced=("hidden",)),
    W(
        "torch.equal(outputs[0], hidden_states[-1])",
        (),
        "",
        padding=2,
        reduced=None,
        unseen=SAME,
    ),
    W(
        "(outputs.last_hidden_state == outputs.hidden_states[-1]).all()",
        (),
        "",
        padding=2,
        reduced=None,
        unseen=SAME,
    ),
)
