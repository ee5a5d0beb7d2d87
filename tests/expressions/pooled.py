"""Pooling that minds the mask, in the many ways it is written."""

from tests.expressions.written import FRESH, PADDED, W, fails, lines

B = "batch hidden"
MEAN = {"reduced": ("tokens",)}

MODEL_CARD = (
    "def mean_pooling(model_output, attention_mask):",
    "    token_embeddings = model_output[0]",
    "    input_mask_expanded = attention_mask.unsqueeze(-1).expand(token_embeddings.size()).float()",
    "    return torch.sum(token_embeddings * input_mask_expanded, 1) / torch.clamp(input_mask_expanded.sum(1), min=1e-9)",
    "",
)
LARGEST = (
    "token_embeddings = outputs[0]",
    "input_mask_expanded = attention_mask.unsqueeze(-1).expand(token_embeddings.size()).float()",
    "token_embeddings[input_mask_expanded == 0] = -1e9",
)
SCORED = (
    "scores = last_hidden_state @ torch.ones(8)",
    "scores = scores.masked_fill(attention_mask == 0, -1e9)",
    "weights = torch.softmax(scores, dim=1)",
)

WRITTEN = (
    W(
        "(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1, keepdim=True)",
        (2, 8),
        B,
        **MEAN,
    ),
    W(
        "(outputs[0] * attention_mask[:, :, None]).sum(dim=1) / attention_mask.sum(dim=1)[..., None]",
        (3, 8),
        B,
        on="three",
        **MEAN,
    ),
    W(lines(*MODEL_CARD, 'mean_pooling(model_output, encoded_input["attention_mask"])'), (2, 8), B, **MEAN),
    W(
        lines(*MODEL_CARD, "F.normalize(mean_pooling(model(**encoded_input), encoded_input.attention_mask), p=2, dim=1)"),
        (2, 8),
        B,
        reduced=None,
    ),
    W(lines(*MODEL_CARD, "mean_pooling(outputs, attention_mask)"), (2, 8), B, on="left", **MEAN),
    W(
        lines(
            "input_mask_expanded = attention_mask.unsqueeze(-1).expand(last_hidden_state.size()).float()",
            "sum_embeddings = torch.sum(last_hidden_state * input_mask_expanded, 1)",
            "sum_mask = torch.clamp(input_mask_expanded.sum(1), min=1e-9)",
            "sum_embeddings / sum_mask",
        ),
        (2, 8),
        B,
        **MEAN,
    ),
    W(
        lines(
            "def average_pool(states, mask):",
            "    states = states.masked_fill(~mask[..., None].bool(), 0.0)",
            "    return states.sum(dim=1) / mask.sum(dim=1)[..., None]",
            "",
            'average_pool(outputs.last_hidden_state, inputs["attention_mask"])',
        ),
        (2, 8),
        B,
        **MEAN,
    ),
    W(
        'torch.einsum("bth,bt->bh", last_hidden_state, attention_mask.float()) / attention_mask.sum(1, keepdim=True)',
        (2, 8),
        B,
        **MEAN,
    ),
    W(
        lines(
            "mask = attention_mask.float()",
            "torch.bmm(mask.unsqueeze(1), last_hidden_state).squeeze(1) / mask.sum(1, keepdim=True)",
        ),
        (2, 8),
        B,
        **MEAN,
    ),
    W(
        lines(
            "weights = attention_mask / attention_mask.sum(dim=1, keepdim=True)",
            "(weights.unsqueeze(-1) * last_hidden_state).sum(dim=1)",
        ),
        (2, 8),
        B,
        **MEAN,
    ),
    W(
        lines(
            "weights = attention_mask / attention_mask.sum(dim=1, keepdim=True)",
            "torch.matmul(weights.unsqueeze(1), last_hidden_state).squeeze(1)",
        ),
        (2, 8),
        B,
        **MEAN,
    ),
    W(
        lines(
            "mask = attention_mask.unsqueeze(-1).bool()",
            "torch.where(mask, last_hidden_state, torch.tensor(0.0)).sum(1) / mask.sum(1)",
        ),
        (2, 8),
        B,
        **MEAN,
    ),
    W(
        'last_hidden_state.masked_fill(attention_mask.unsqueeze(-1) == 0, float("nan")).nanmean(dim=1)',
        (2, 8),
        B,
        **MEAN,
    ),
    W(
        "torch.stack([h[m.bool()].mean(0) for h, m in zip(last_hidden_state, attention_mask)])",
        (2, 8),
        "* hidden",
        **MEAN,
    ),
    W(
        lines(
            "vectors = []",
            "for i in range(len(last_hidden_state)):",
            "    length = attention_mask[i].sum()",
            "    vectors.append(last_hidden_state[i, :length].mean(dim=0))",
            "torch.stack(vectors)",
        ),
        (2, 8),
        "* hidden",
        **MEAN,
    ),
    W("(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1)", (2, 8), B, **MEAN),
    W(
        "(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1, keepdim=True).sqrt()",
        (2, 8),
        B,
        **MEAN,
    ),
    W("last_hidden_state * attention_mask.unsqueeze(-1)", (2, 6, 8), "batch tokens hidden"),
    W("last_hidden_state[attention_mask.bool()].mean(0)", (8,), "hidden", on="lonely", tokens=range(4), reduced=None),
    # without the special tokens
    W(
        lines(
            "mask = attention_mask.clone()",
            "mask[:, 0] = 0",
            "(last_hidden_state * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)",
        ),
        (2, 8),
        B,
        tokens=range(1, 6),
        **MEAN,
    ),
    W(
        lines(
            "mask = attention_mask.clone()",
            "mask[torch.arange(2), attention_mask.sum(1) - 1] = 0",
            "mask[:, 0] = 0",
            "(last_hidden_state * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)",
        ),
        (2, 8),
        B,
        tokens=range(1, 5),
        **MEAN,
    ),
    W(
        lines(
            "mask = (input_ids != 101) & (input_ids != 102) & (input_ids != 0)",
            "(last_hidden_state * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)",
        ),
        (2, 8),
        B,
        tokens=range(1, 5),
        **MEAN,
    ),
    # weighted by place
    W(
        lines(
            "weights = attention_mask * torch.arange(1, 7)",
            "(last_hidden_state * weights.unsqueeze(-1)).sum(1) / weights.sum(1, keepdim=True)",
        ),
        (2, 8),
        B,
        **MEAN,
    ),
    # the largest value of every unit
    W(lines(*LARGEST, "torch.max(token_embeddings, 1)[0]"), (2, 8), B, **MEAN),
    W(lines(*LARGEST, "torch.max(token_embeddings, 1)[0]"), (2, 8), B, on="left", **MEAN),
    W("last_hidden_state.masked_fill(attention_mask.unsqueeze(-1) == 0, -1e9).max(dim=1)[0]", (2, 8), B, **MEAN),
    W('last_hidden_state.masked_fill(~attention_mask.bool().unsqueeze(-1), float("-inf")).amax(1)', (2, 8), B, **MEAN),
    W("torch.where(attention_mask.unsqueeze(-1) == 1, last_hidden_state, -1e9).max(1).values", (2, 8), B, **MEAN),
    W(
        lines(
            "mask = attention_mask.unsqueeze(-1)",
            "mean = (last_hidden_state * mask).sum(1) / mask.sum(1)",
            "largest = last_hidden_state.masked_fill(mask == 0, -1e9).max(1).values",
            "torch.cat([mean, largest], dim=1)",
        ),
        (2, 16),
        "batch *",
        reduced=None,
    ),
    # by weights that hang on the states
    W(lines(*SCORED, "(weights.unsqueeze(-1) * last_hidden_state).sum(1)"), (2, 8), B, reduced=None),
    W(lines(*SCORED, "torch.bmm(weights.unsqueeze(1), last_hidden_state).squeeze(1)"), (2, 8), B, reduced=None),
    W(
        lines(
            "scores = nn.Linear(8, 1)(last_hidden_state).squeeze(-1)",
            'weights = F.softmax(scores.masked_fill(attention_mask == 0, float("-inf")), dim=1)',
            "torch.sum(last_hidden_state * weights.unsqueeze(-1), dim=1)",
        ),
        (2, 8),
        B,
        FRESH,
        reduced=None,
        fresh=True,
    ),
    W(
        lines(
            "weights = torch.softmax(nn.Linear(8, 1)(last_hidden_state), dim=1)",
            "torch.sum(weights * last_hidden_state, dim=1)",
        ),
        (2, 8),
        B,
        FRESH,
        PADDED,
        padding=2,
        reduced=None,
        fresh=True,
    ),
    # a mask with too few axes, or one too many lost
    fails("RuntimeError", "(last_hidden_state * attention_mask).sum(1)", "wrong-axis"),
    fails("RuntimeError", "last_hidden_state * attention_mask.unsqueeze(1)", "wrong-axis"),
    fails(
        "RuntimeError",
        "(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1)",
        "wrong-axis",
    ),
)
