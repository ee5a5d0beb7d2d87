"""Head script parts: the pieces of a script that follows a head, as templates."""

SETUP = '''\
tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="right")


def loaded(attention):
    """The model; weights that are not in the file are drawn with seed $seed."""
    torch.manual_seed($seed)
    of = {"dtype": torch.float32, "attn_implementation": attention}
    return $auto.from_pretrained(checkpoint, **of).eval()


def tell(name, values):
    """One line: what it is, and its numbers."""
    print(f"{name}  {values.reshape(-1).tolist()}")


model = loaded("$attention")
text = texts[$text]
batch = tokenizer(
    *([text] if isinstance(text, str) else text),
    truncation=True,
    max_length=$limit,
    return_special_tokens_mask=True,$no_segments
    return_tensors="pt",
)
special = batch.pop("special_tokens_mask")[0].bool()
ids = batch["input_ids"]
'''

HELPERS = {
    "linear": '''\
def linear(x, layer):
    """x W^T + b."""
    product = x @ layer.weight.T
    return product if layer.bias is None else product + layer.bias


''',
    "tanh": '''\
def tanh(x):
    """(1 - e^-2|x|) / (1 + e^-2|x|) with the sign of x."""
    small = -2 * x.abs()
    return x.sign() * -torch.expm1(small) / (1 + small.exp())


''',
    "ReLU": '''\
def relu(x):
    """x where it is above zero, else 0."""
    return x.where(x > 0, torch.zeros_like(x))


''',
    "GELU": '''\
def gelu(x):
    """x times the normal distribution function of x."""
    return x / 2 * (1 + torch.erf(x / 2**0.5))


''',
    "LayerNorm": '''\
def layer_norm(x, layer):
    """(x - mean) / sqrt(variance + eps), times the weight, plus the bias."""
    away = x - x.mean(-1, keepdim=True)
    found = away / (away.square().mean(-1, keepdim=True) + layer.eps).sqrt()
    found = found if layer.weight is None else found * layer.weight
    return found if layer.bias is None else found + layer.bias


''',
}
"""Functions of a head by kind of step, written out."""

HEAD = '''\
def head(x):
    """Every step of the head from the vector that it takes, by the model's own modules."""
    steps = [x]
$own
    return steps


def by_hand(x):
    """The same from the weights alone."""
$hand
    return x


def readouts(state, mask):
    """What the head may take from the last hidden state, (batch, hidden)."""
    mask = mask.unsqueeze(-1).to(state.dtype)
    return {"cls": state[:, 0], "mean": (state * mask).sum(1) / mask.sum(1)}


'''

FOLLOWED = """\
with torch.inference_mode():
    logits = model(**batch).logits
    state = model.base_model(**batch).last_hidden_state
    vectors = readouts(state, batch["attention_mask"])
    for number, x in enumerate(head(vectors["$taken"])):
        tell(f"step {number}", x[0, :6])
    tell("by hand, max abs", (by_hand(vectors["$taken"]) - logits).abs().max())
    for name, x in vectors.items():
        tell(f"logits of {name}", head(x)[-1])
    for at in range(0, min(len(texts), $most), $batch):  # all texts
        several = tokenizer(
            texts[at : at + $batch],
            padding=True,
            truncation=True,
            max_length=$limit,$no_segments
            return_tensors="pt",
        )
        states = model.base_model(**several).last_hidden_state
        for name, x in readouts(states, several["attention_mask"]).items():
            tell(f"all texts from {at}, logits of {name}", head(x)[-1])
$contributions"""

CONTRIBUTIONS = """\
    # what every unit adds to the logit of one class
    x, last = head(vectors["$taken"])[-2][0], model.$last
    parts = x * last.weight[$label]
    order = parts.abs().argsort(descending=True, stable=True)[:8]
    tell(f"contributions of units {order.tolist()}", parts[order])
"""

LOGITS = """\
with torch.inference_mode():
    logits = model(**batch).logits
"""

RUNS = """\
tell("logits", logits)
tell("probabilities", logits[0].double()$activation)
row = model.get_input_embeddings().weight[ids[0, 0]]
tell(f"id {int(ids[0, 0])}, norm of its row", row.double().norm())

# dropout on: another draw, other logits
with torch.inference_mode():
    model.train()
    for seed in range($runs):
        torch.manual_seed(seed)
        tell(f"dropout seed {seed}", model(**batch).logits)
    model.eval()

    # what [CLS] attends to in every layer, averaged over the heads
    attentions = loaded("eager")(**batch, output_attentions=True).attentions
    for layer, attention in enumerate(attentions, start=1):
        tell(f"attention from [CLS] in layer {layer}", attention[0, :, 0].mean(0))
"""

SHARES = """\

# integrated gradients: the gradient at points on the path from a baseline, by Gauss-Legendre quadrature
others = {name: tensor for name, tensor in batch.items() if name != "input_ids"}
lookup = model.get_input_embeddings()
with torch.no_grad():
    end = lookup(ids)
    start = torch.where(special[:, None], end, $stand_in)
places = [
$places
]
weights = [
$weights
]


def logit(embeddings):
    \"\"\"The logit of the chosen class, (rows,).\"\"\"
    rows = {name: tensor.expand(len(embeddings), -1) for name, tensor in others.items()}
    return model(inputs_embeds=embeddings, **rows).logits[:, $label]


total, at_once = 0, $at_once  # rows of the path in one pass
for at in range(0, $steps, at_once):
    here = torch.cat([start + place * (end - start) for place in places[at : at + at_once]]).requires_grad_()
    gradients = torch.autograd.grad(logit(here).sum(), here)[0].flatten(1)
    weighted = gradients * torch.tensor(weights[at : at + at_once])[:, None]
    total = weighted.sum(0).view_as(end) * (end - start) + total
parts = total.sum(-1)[0].detach()
with torch.no_grad():
    difference = logit(end).item() - logit(start).item()
tell("integrated gradients", parts)
tell("completeness error", parts.double().sum() - difference)

# occlusion: every word piece alone replaced
content = (~special).nonzero().flatten()
rows = ids.repeat(len(content) + 1, 1)
rows[torch.arange(1, len(rows)), content] = $hidden
with torch.inference_mode():
    falls = []
    for at in range(0, len(rows), at_once):
        part = rows[at : at + at_once]
        passed = {name: tensor.expand(len(part), -1) for name, tensor in others.items()}
        falls.append(model(input_ids=part, **passed).logits[:, $label])
falls = torch.cat(falls)
tell("occlusion", falls[0] - falls[1:])
"""

OWN = {
    "tanh": "torch.tanh(x)",
    "ReLU": "torch.relu(x)",
    "GELU": "torch.nn.functional.gelu(x)",
}
"""Bare functions; modules are called by their names."""

HAND = {
    "linear": "linear(x, model.{})",
    "tanh": "tanh(x)",
    "ReLU": "relu(x)",
    "GELU": "gelu(x)",
    "LayerNorm": "layer_norm(x, model.{})",
}
"""Every step that the script writes out; dropout is off and left out."""

ANSWERS = {
    "masked-lm": """\
if not (ids == tokenizer.mask_token_id).any():
    ids[0, $position] = tokenizer.mask_token_id
with torch.inference_mode():
    logits = model(**batch).logits[0]
for place in (ids[0] == tokenizer.mask_token_id).nonzero().flatten().tolist():
    probable = logits[place].double().softmax(-1)
    best = probable.topk(10).indices
    tell(f"position {place}, ids {best.tolist()}", probable[best])
""",
    "token": """\
with torch.inference_mode():
    logits = model(**batch).logits[0]
for place, row in enumerate(logits):
    tell(f"position {place}, {model.config.id2label[int(row.argmax())]}", row)
""",
    "question": """\
with torch.inference_mode():
    out = model(**batch)
start, end = out.start_logits[0], out.end_logits[0]
context = (~special).nonzero().flatten()
gaps = (context.diff() > 1).nonzero().flatten()
if len(gaps):  # a pair: answers stand in the second sentence
    context = context[gaps[0] + 1 :]
scores = start[context].double()[:, None] + end[context].double()
scores = scores.masked_fill(~torch.ones_like(scores, dtype=torch.bool).triu(), -torch.inf)
best = scores.flatten().topk(min(10, int(scores.isfinite().sum())))
for at, score in zip(best.indices.tolist(), best.values):
    first, last = context[at // len(context)].item(), context[at % len(context)].item()
    tell(f"tokens {first} to {last}, score", score)
""",
}
"""The lines of each kind of head, which print its best answers."""
