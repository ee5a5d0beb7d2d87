"""One token of every text, and other choices of tokens."""

from tests.expressions.written import AT_PADDING, AXIS, CLS, NO_SPECIALS, PADDED, W, fails, lines

B, BT = "batch hidden", "batch tokens hidden"

BY_SUM = "last_hidden_state[torch.arange(len(input_ids)), attention_mask.sum(1) - 1]"
BY_CUMSUM = "last_hidden_state[torch.arange(2), attention_mask.cumsum(1).argmax(1)]"
FIRST_REAL = lines("first = attention_mask.argmax(dim=1)", "last_hidden_state[torch.arange(len(first)), first]")
LAST_REAL = lines("last = attention_mask.sum(1) - 1", "last_hidden_state[torch.arange(2), last]")

WRITTEN = (
    # [CLS] of every text
    W("outputs.last_hidden_state[:, 0, :]", (2, 8), B, tokens=CLS),
    W("outputs[0][:, 0]", (2, 8), B, tokens=CLS),
    W('outputs["last_hidden_state"][:, 0]', (2, 8), B, tokens=CLS),
    W("model(**inputs).last_hidden_state[:, 0]", (2, 8), B, tokens=CLS),
    W("hidden_states[-1][:, 0, :]", (2, 8), B, tokens=CLS),
    W("outputs.hidden_states[4][:, 0]", (2, 8), B, tokens=CLS),
    W("hidden_states[-2][:, 0]", (2, 8), B, tokens=CLS, layers=(3,)),
    W("last_hidden_state[:, 0, :].numpy()", (2, 8), B, tokens=CLS),
    W("last_hidden_state[:, 0].detach().cpu().numpy()", (2, 8), B, tokens=CLS),
    W("last_hidden_state[:, 0:1, :]", (2, 1, 8), BT, tokens=CLS),
    W("last_hidden_state[:, [0]]", (2, 1, 8), BT, tokens=CLS),
    W("last_hidden_state.select(1, 0)", (2, 8), B, tokens=CLS),
    W("torch.index_select(last_hidden_state, 1, torch.tensor([0])).squeeze(1)", (2, 8), B, tokens=CLS),
    W("last_hidden_state.narrow(1, 0, 1)", (2, 1, 8), BT, tokens=CLS),
    W("last_hidden_state.permute(1, 0, 2)[0]", (2, 8), B, tokens=CLS),
    W("last_hidden_state.transpose(0, 1)[0]", (2, 8), B, tokens=CLS),
    W("last_hidden_state[..., 0, :]", (2, 8), B, tokens=CLS),
    W("last_hidden_state.unbind(1)[0]", (2, 8), B, tokens=CLS),
    W("last_hidden_state.split(1, dim=1)[0].squeeze(1)", (2, 8), B, tokens=CLS),
    W("outputs.to_tuple()[0][:, 0]", (2, 8), B, tokens=CLS),
    W("last_hidden_state[:, 0].tolist()", tokens=CLS),
    W(
        lines("with torch.no_grad():", "    outputs = model(**inputs)", "features = outputs[0][:, 0, :].numpy()"),
        (2, 8),
        B,
        tokens=CLS,
    ),
    W(
        lines("vectors = []", "for row in last_hidden_state:", "    vectors.append(row[0])", "torch.stack(vectors)"),
        (2, 8),
        B,
        tokens=CLS,
    ),
    W("[row[0] for row in last_hidden_state]", (2, 8), "* hidden", tokens=CLS),
    W(
        lines("cls = torch.zeros(2, 8)", "for i in range(2):", "    cls[i] = last_hidden_state[i][0]", "cls"),
        (2, 8),
        "* *",
        tokens=CLS,
    ),
    # one text of several, and its twin in a batch of one
    W("output[0][0]", (6, 8), "tokens hidden", AXIS, texts=(0,)),
    W("output[0][0]", (6, 8), "tokens hidden", on="one"),
    W("outputs.last_hidden_state[0]", (5, 8), "tokens hidden", AXIS, on="three", texts=(0,)),
    W("outputs.last_hidden_state[0][0]", (8,), "hidden", AXIS, texts=(0,), tokens=CLS),
    W("outputs.last_hidden_state[0][0]", (8,), "hidden", on="one", tokens=CLS),
    W("hidden_states[-1][0][0]", (8,), "hidden", AXIS, texts=(0,), tokens=CLS),
    W("hidden_states[-1][0][0]", (8,), "hidden", on="one", tokens=CLS),
    W("last_hidden_state[0, :, :]", (6, 8), "tokens hidden", AXIS, texts=(0,)),
    W("last_hidden_state[0, 0, 0].item()", (), "", on="one", tokens=CLS, hidden=(0,)),
    W("last_hidden_state[0, 2]", (8,), "hidden", on="one", tokens=(2,)),
    W("hidden_states[-1][0][2][:5]", (5,), "hidden", on="one", tokens=(2,), hidden=range(5)),
    fails("IndexError", "last_hidden_state[2]", AXIS),
    # the first place is no [CLS]
    W("last_hidden_state[:, 0]", (2, 8), B, AT_PADDING, on="left", tokens=CLS, padding=1),
    W(FIRST_REAL, (2, 8), B, on="left", tokens=(0, 2)),
    W(BY_SUM, (2, 8), B, AT_PADDING, on="left", tokens=(3, 5)),
    W(BY_CUMSUM, (2, 8), B, on="left", tokens=(5,)),
    W(BY_CUMSUM, (2, 8), B, tokens=(3, 5)),
    W(FIRST_REAL, (2, 8), B, tokens=CLS),
    W("last_hidden_state[:, 0]", (2, 8), B, NO_SPECIALS, on="bare", tokens=CLS),
    W("last_hidden_state[:, 0]", (2, 8), B, on="even", tokens=CLS),
    W("last_hidden_state[:, 0]", (3, 8), B, on="three", tokens=CLS),
    # the last token
    W("last_hidden_state[:, -1]", (2, 8), B, AT_PADDING, tokens=(5,), padding=1),
    W("last_hidden_state[:, -1, :]", (2, 8), B, AT_PADDING, on="even", tokens=(5,)),
    W("last_hidden_state[:, -2, :]", (2, 8), B, on="even", tokens=(4,)),
    W(LAST_REAL, (2, 8), B, tokens=(3, 5)),
    W(
        "last_hidden_state.gather(1, (attention_mask.sum(1) - 1).view(-1, 1, 1).expand(-1, 1, 8)).squeeze(1)",
        (2, 8),
        B,
        tokens=(3, 5),
    ),
    W(
        lines("last = attention_mask.sum(1) - 1", "torch.stack([last_hidden_state[i, last[i]] for i in range(3)])"),
        (3, 8),
        "* hidden",
        on="three",
        tokens=(2, 3, 4),
    ),
    W("last_hidden_state.flip(1)[:, 0]", (2, 8), B, on="even", tokens=(5,)),
    # some tokens
    W("last_hidden_state[:, 1]", (2, 8), B, tokens=(1,)),
    W("last_hidden_state[:, 1:-1]", (2, 4, 8), BT, tokens=(1, 2, 3, 4), padding=1),
    W("last_hidden_state[:, 1:-1].mean(dim=1)", (2, 8), B, PADDED, tokens=(1, 2, 3, 4), padding=1, reduced=("tokens",)),
    W("last_hidden_state[:, 1:-1].mean(dim=1)", (2, 8), B, on="even", tokens=(1, 2, 3, 4), reduced=("tokens",)),
    W("last_hidden_state[:, 2:4].mean(1)", (2, 8), B, tokens=(2, 3), reduced=("tokens",)),
    W("last_hidden_state[:, 2:5].mean(1)", (2, 8), B, PADDED, tokens=(2, 3, 4), padding=1, reduced=("tokens",)),
    W("last_hidden_state[:, ::2]", (2, 3, 8), BT, tokens=(0, 2, 4), padding=1),
    W("last_hidden_state[:, [1, 2], :]", (2, 2, 8), BT, tokens=(1, 2)),
    W("last_hidden_state[:, torch.tensor([3, 1])]", (2, 2, 8), BT, tokens=(1, 3)),
    fails("IndexError", "last_hidden_state[:, 6]", AXIS),
    # the tokens that are real
    W("last_hidden_state[attention_mask.bool()]", (10, 8), "batch·tokens hidden"),
    W("last_hidden_state[attention_mask == 1]", (10, 8), "batch·tokens hidden"),
    W("last_hidden_state[input_ids != 0]", (10, 8), "batch·tokens hidden"),
    W("last_hidden_state[0][attention_mask[0].bool()]", (4, 8), "tokens hidden", on="lonely", tokens=range(4)),
    W("last_hidden_state[input_ids == 101]", (2, 8), "* hidden", tokens=CLS),
    W("torch.masked_select(last_hidden_state, attention_mask.unsqueeze(-1).bool())", (80,), "*"),
    W(
        "last_hidden_state[input_ids == 102].shape",
        None,
        tokens=None,
        texts=None,
        layers=None,
        hidden=None,
        padding=None,
        reduced=None,
    ),
    W("last_hidden_state[[]]", (0, 6, 8), "batch tokens hidden", texts=(), tokens=(), layers=(), hidden=()),
    # cells that one factor hides
    W("last_hidden_state.flatten()[[0, 9]] * torch.tensor([0.0, 1.0])", (2,), "*", texts=(0,), tokens=(1,), hidden=(1,)),
    W("last_hidden_state[0] * 0 + last_hidden_state[1]", (6, 8), "tokens hidden", AXIS, texts=(1,), padding=2),
    # hidden units instead of tokens
    W("last_hidden_state[:, :, 0]", (2, 6), "batch tokens", AXIS, hidden=(0,), padding=2),
    W("last_hidden_state[0][:, 0]", (6,), "tokens", AXIS, texts=(0,), hidden=(0,)),
    W("last_hidden_state[:, 0][:, :4]", (2, 4), B, tokens=CLS, hidden=range(4)),
)
