"""Which field of the output: by name, by index, by unpacking."""

from tests.expressions.written import AXIS, CLS, EVERY_LAYER, FIELD, FRESH, GRAD, NO_POOLER, W, fails, lines, nothing

B, BT = "batch hidden", "batch tokens hidden"
POOLED = {"layers": None, "tokens": None, "padding": None}
"""What is in a pooler output: all hidden units of a text, and no cell of the states."""

UNPACKED = "sequence, pooled = model(**inputs)"

WRITTEN = (
    W("outputs.last_hidden_state", (2, 6, 8), BT, padding=2),
    W("outputs[0]", (2, 6, 8), BT, padding=2),
    W("out[0]", (2, 6, 8), BT, on="even"),
    W("result.last_hidden_state", (1, 6, 8), BT, on="one"),
    # the pooler's
    W("outputs.pooler_output", (2, 8), B, **POOLED),
    W("outputs[1]", (2, 8), B, **POOLED),
    W('outputs["pooler_output"].detach().numpy()', (2, 8), B, **POOLED),
    W("pooler_output.squeeze()", (2, 8), B, AXIS, **POOLED),
    W("pooler_output.squeeze(1)", (2, 8), B, **POOLED),
    W("pooler_output.squeeze()", (8,), "hidden", AXIS, on="one", **POOLED),
    W("pooler_output.squeeze(0)", (8,), "hidden", on="one", **POOLED),
    W("pooler_output[0]", (8,), "hidden", AXIS, texts=(0,), **POOLED),
    W("pooler_output[0]", (8,), "hidden", on="one", **POOLED),
    W(lines("sequence_output, pooled_output = outputs[:2]", "pooled_output"), (2, 8), B, **POOLED),
    W(lines("_, pooled = outputs.to_tuple()[:2]", "pooled"), (2, 8), B, **POOLED),
    W(
        lines("sequence_output = outputs[0]", "pooled = outputs[1]", "torch.cat([sequence_output[:, 0], pooled], dim=1)"),
        (2, 16),
        "batch *",
        tokens=CLS,
    ),
    fails("AttributeError", "outputs.pooler_output", NO_POOLER, on="poolerless"),
    fails("AttributeError", "outputs.pooler_output.squeeze()", NO_POOLER, on="poolerless"),
    # the hidden states' place
    W("outputs[2][-1][:, 0]", (2, 8), B, tokens=CLS),
    W("outputs[1][-1][:, 0]", (2, 8), B, on="poolerless", tokens=CLS),
    fails("IndexError", "outputs[2]", FIELD, on="poolerless"),
    fails("IndexError", "outputs[2][-1][:, 0]", FIELD, on="brief"),
    fails("IndexError", "outputs[3]", FIELD),
    fails("TypeError", "outputs[1][:, 0]", NO_POOLER, AXIS, on="poolerless"),
    W(lines("last, pooled, hidden = outputs.to_tuple()", "hidden[-1][:, 0]"), (2, 8), B, tokens=CLS),
    W(
        lines("last, hidden = outputs[0], outputs[2]", "torch.stack(hidden)[:, :, 0]"),
        (5, 2, 8),
        "layers batch hidden",
        tokens=CLS,
        layers=EVERY_LAYER,
    ),
    # unpacked, a ModelOutput yields its keys
    nothing(UNPACKED, None, "", FIELD),
    fails("AttributeError", lines(UNPACKED, "sequence.shape"), FIELD),
    fails("AttributeError", lines(UNPACKED, "pooled.squeeze()"), FIELD),
    fails("TypeError", lines(UNPACKED, "sequence[:, 0]"), FIELD),
    fails("TypeError", lines(UNPACKED, "torch.mean(sequence, dim=1)"), FIELD),
    W(lines("sequence, pooled = model(**inputs).to_tuple()", "sequence[:, 0]"), (2, 8), B, tokens=CLS),
    W(lines("sequence, pooled = model(**inputs)[:2]", "sequence[:, 0]"), (2, 8), B, tokens=CLS),
    W(lines("sequence, pooled = model(**inputs, return_dict=False)", "sequence[:, 0]"), (2, 8), B, tokens=CLS),
    fails("ValueError", "last, pooled, hidden = model(**inputs)", FIELD),
    nothing(lines("last, pooled, hidden = model(**inputs, output_hidden_states=True)", "last"), None, "", FIELD),
    W(
        lines("last, pooled, hidden = model(**inputs, output_hidden_states=True, return_dict=False)", "hidden[-1][:, 0]"),
        (2, 8),
        B,
        tokens=CLS,
    ),
    nothing("list(outputs)"),
    fails("AttributeError", "[one.shape for one in outputs]", FIELD),
    fails(
        "TypeError",
        lines("last, hidden = model(**inputs, output_hidden_states=True)", "hidden[-1][:, 0]"),
        FIELD,
        on="poolerless",
    ),
    # hidden states that nobody asked for
    fails("IndexError", "model(**inputs)[2]", FIELD),
    fails("TypeError", "model(**inputs).hidden_states[-1][:, 0]", FIELD),
    W("model(**inputs, output_hidden_states=True).hidden_states[-1][:, 0]", (2, 8), B, tokens=CLS),
    W("model(**inputs, output_hidden_states=True)[2][-2][:, 0]", (2, 8), B, tokens=CLS, layers=(3,)),
    # fields of other heads
    fails("AttributeError", "outputs.logits", FIELD),
    fails("AttributeError", "outputs.logits.argmax(-1)", FIELD),
    fails("KeyError", 'outputs["logits"]', FIELD),
    fails("AttributeError", "outputs.last_hidden_states[:, 0]", FIELD),
    fails("AttributeError", "outputs.hidden_state[-1]", FIELD),
    # sizes hold no cell
    nothing("outputs.last_hidden_state.shape"),
    nothing("len(hidden_states)"),
    nothing("outputs[0].size(-1)"),
    nothing("torch.zeros_like(last_hidden_state)", (2, 6, 8), "* * *"),
    nothing("torch.ones(last_hidden_state.shape[0], 8)", (2, 8), "* *"),
    # autograd
    fails("RuntimeError", "last_hidden_state.numpy()", GRAD, on="grad"),
    fails("RuntimeError", "outputs[0][:, 0].numpy()", GRAD, on="grad"),
    fails("RuntimeError", "np.array(pooler_output)", GRAD, on="grad"),
    W("outputs[0][:, 0].numpy()", (2, 8), B, tokens=CLS),
    W("last_hidden_state.detach().numpy()", (2, 6, 8), BT, on="grad", padding=2),
    W("outputs[0][:, 0].detach().cpu().numpy()", (2, 8), B, on="grad", tokens=CLS),
    W("last_hidden_state[:, 0].tolist()", None, on="grad", tokens=CLS),
    W("last_hidden_state[0, 0, 0].item()", (), "", on="grad", texts=(0,), tokens=CLS, hidden=(0,)),
    W(
        lines("with torch.no_grad():", "    outputs = model(**inputs)", "outputs.last_hidden_state[:, 0].numpy()"),
        (2, 8),
        B,
        on="grad",
        tokens=CLS,
    ),
    W("nn.Linear(8, 2)(outputs[0][:, 0]).detach().numpy()", (2, 2), "batch *", FRESH, tokens=CLS, reduced=None, fresh=True),
)
