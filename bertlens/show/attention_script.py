"""Attention script: where the tokens of one text look, in torch and transformers alone."""

from __future__ import annotations

import json
from string import Template
from typing import TYPE_CHECKING

from bertlens.read.attention import IDENTITY
from bertlens.run.texts import Texts
from bertlens.show.passes import call
from bertlens.show.script import imports, loaded, named

if TYPE_CHECKING:
    from bertlens.run.architecture import Architecture

ATTENDED = '''\
@torch.inference_mode()
def attend(row, real):
    """What the real tokens of one row look at, (layers, heads, from, to), and the measures of every head."""
    weights = torch.cat(model(**row, output_attentions=True).attentions)
    ids, at = row["input_ids"][0], torch.arange(len(real))
    targets = [(ids == special) & real for special in (tokenizer.cls_token_id, tokenizer.sep_token_id)]
    targets = torch.stack([*targets, ~real], dim=-1).float()[None, None]
    far, measures = (at[:, None] - at).abs().float(), []
    for layer in weights[:, None]:  # (1, heads, from, to)
        surprise = layer.clamp_min(torch.finfo(layer.dtype).tiny).log().neg()
        found = {"entropy": mean(torch.einsum("bhij,bhij->bhi", layer, surprise).double(), real)}
        shares = mean((layer @ targets).double(), real[:, None])
        found |= dict(zip(("to_cls", "to_sep", "to_padding"), shares.unbind(-1)))
        for name, offset in (("to_self", 0), ("to_previous", -1), ("to_next", 1)):
            both = real[: len(real) - abs(offset)] & real[abs(offset) :]
            found[name] = mean(layer.diagonal(offset, dim1=2, dim2=3).double(), both)
        found["distance"] = mean(torch.einsum("bhij,ij->bhi", layer, far).double(), real)
        measures.append(found)
    return weights, {name: torch.cat([layer[name] for layer in measures]) for name in measures[0]}


def mean(values, real):
    """Mean over the real tokens, the third axis."""
    return values.masked_fill(~real, 0).sum(2) / real.sum()


def cropped(matrix, real):
    """Real tokens only, and last, where there is padding, the sum of what goes there."""
    if real.all():
        return matrix
    rows = matrix[..., real, :]
    return torch.cat([rows[..., real], rows[..., ~real].sum(-1, keepdim=True)], dim=-1)


def tell(name, values):
    """One line: what it is, and its numbers."""
    print(f"{name}  {values.reshape(-1).tolist()}")


'''

TOLD = """\
# one text, at the length that it is padded to beside the others: what stands in other rows is of no account
$batch
row = {name: x[text : text + 1] for name, x in batch.items()}
real = row["attention_mask"][0].bool()
weights, measures = attend(row, real)
print(f"tokens  {tokenizer.convert_ids_to_tokens(row['input_ids'][0][real].tolist())}")
print(f"padding  {(~real).sum().item()}")
off = (weights[:, :, real].sum(-1, dtype=torch.float64) - 1).abs().max().item()
print(f"rows sum to 1 within  {off!r}")
for name, values in measures.items():
    for number, heads in enumerate(values, start=1):
        tell(f"layer {number}  {name}", heads)

# rollout (Abnar and Zuidema 2020): $identity of the identity in every layer, for the residual stream
means = torch.stack([layer.mean(0) for layer in weights])
mixed = $rest * means + $identity * torch.eye(len(real))
rolled = [mixed[0]]
for each in mixed[1:]:
    rolled.append(each @ rolled[-1])

# the map that is shown: rows are the tokens that look, columns what they look at
views = {"mean": cropped(means, real)[layer - 1], "all": cropped(means, real).mean(0)}
views["rollout"] = cropped(torch.stack(rolled), real)[layer - 1]
shown = views[head] if head in views else cropped(weights[layer - 1], real)[head - 1]
for number, looks in enumerate(shown):
    tell(f"from {number}", looks)
tell(f"to {token}", shown[:, token])
"""

PADDED = """\

# the text alone in a padded row, with the mask and without it
$row
real = row["attention_mask"][0].bool()
for mask in ("on", "off"):
    if mask == "off":
        del row["attention_mask"]  # forgotten
    for number, heads in enumerate(attend(row, real)[1]["to_padding"], start=1):
        tell(f"mask {mask}, layer {number}  to_padding", heads)
"""


def attention_script(
    checkpoint: str,
    texts: Texts,
    *,
    architecture: Architecture,
    max_length: int,
    text: int = 0,
    layer: int = 1,
    head: int | str = 1,
    token: int = 0,
    padding: int | None = None,
) -> str:
    """Where the tokens of one text look as a Python file: every measure of every head, one map, and the row padded.

    Its numbers are those of `bertlens.attention` and `bertlens.attention_to_padding`, to the last digit on the same machine.

    Parameters
    ----------
    max_length : tokens at which texts are truncated.
    layer, head : the map that is printed, from 1; or a key of `judge.attention.VIEWS` for the head.
    token : whose column is printed as well.
    padding : length of the padded row; None leaves it out.
    """
    options = [*([] if architecture.segments else ["return_token_type_ids=False"]), 'return_tensors="pt"']
    batch = call("batch = tokenizer", ["texts", "padding=True", "truncation=True", f"max_length={max_length}", *options])
    values = {"batch": "\n".join(batch), "identity": IDENTITY, "rest": 1 - IDENTITY}
    parts = [
        '"""Which token looks at which, and does anybody look at padding?"""\n',
        *imports(checkpoint),
        "",
        *named(checkpoint, texts),
        f"text, layer, head, token = {text}, {layer}, {json.dumps(head)}, {token}",
        "# fused kernels (sdpa) never hold the weights: only eager attention gives them",
        *loaded("eager", "torch.float32", "cpu"),
        "\n",
        ATTENDED + Template(TOLD).substitute(values),
    ]
    code = "\n".join(parts)
    if padding is None:
        return code
    row = ["texts[text : text + 1]", 'padding="max_length"', "truncation=True", f"max_length={padding}", *options]
    return code + Template(PADDED).substitute(row="\n".join(call("row = tokenizer", row)))
