"""Head answers script: the last lines of a script for heads that read every token."""

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
