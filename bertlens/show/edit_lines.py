"""Edit lines: the part of the lookup script that edits vectors, follows them, ranks the texts and searches the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template

import numpy as np

from bertlens.judge.edits import MOST_NEIGHBOURS
from bertlens.read.vocabulary import ROWS_AT_ONCE
from bertlens.run.edits import Edit, parse
from bertlens.run.packing import TOKENS_AT_ONCE

HELPERS = '''\
def row_of(token):
    """The row of the table for one token, as the tokenizer writes it or as it stands within a text."""
    known = tokenizer.get_vocab()
    return table[known[token] if token in known else known[tokenizer.tokenize(f" {token}")[0]]]


def states_of(out):
    """Every hidden state, (states, tokens, hidden)."""
    states = list(out.hidden_states)
    if not torch.equal(usual.hidden_states[-1], usual.last_hidden_state):  # a last norm stands between
        states.append(out.last_hidden_state)
    return torch.cat(states)


'''

EDITED = """\

# the lookup, edited and fed back
table = model.get_input_embeddings().weight
lookup = parts["word"].clone()
length = lookup.norm(dim=1).mean()
$edits
changed = (lookup != parts["word"]).any(1)
edited = model(inputs_embeds=lookup[None], **rest, output_hidden_states=True)
against("edited", edited, usual, real)
before, after = states_of(usual), states_of(edited)
change = (after.double() - before.double()).norm(dim=-1) / before.double().norm(dim=-1)
most = (after.double() - before.double()).abs().amax(-1)
alike = cosine(before.flatten(0, 1), after.flatten(0, 1)).reshape(change.shape)
for state in range(len(before)):
    tell(f"change {state}", change[state])
    tell(f"largest difference {state}", most[state])
    tell(f"cosine {state}", alike[state])
"""

NEIGHBOURS = """
# the text among the others, before and after; texts of like length share a batch
others = [at for at in range(len(texts)) if at != text][:$most]
sizes = [len(encoded([texts[at]], max_length=limit)[0]["input_ids"][0]) for at in others]
order, start = sorted(range(len(others)), key=lambda at: -sizes[at]), 0
known = [None] * len(others)
while start < len(order):
    group = order[start : start + max(1, $at_once // sizes[order[start]])]
    several, marks = encoded([texts[others[at]] for at in group], max_length=limit, padding=True)
    found = pooled(model(**several).last_hidden_state, several["attention_mask"], marks)[pooling]
    for at, vector in zip(group, found):
        known[at] = vector
    start += len(group)
for name, out in (("before", usual), ("after", edited)):
    own = pooled(out.last_hidden_state, mask, special)[pooling]
    tell(f"neighbours {name}", cosine(own.expand(len(known), -1), torch.stack(known)))
"""

NEAREST = """\
# the entries of the vocabulary nearest to the vectors of one token
wanted = {$wanted}
if changed[token]:
    moved = vectors["sum"][token] + (lookup[token] - parts["word"][token])
    wanted |= {$wanted_edited}
wide, dots, lengths = torch.stack(list(wanted.values())).double(), [], []
for start in range(0, len(table), $rows):
    rows = table[start : start + $rows].double()
    dots.append(wide @ rows.T)
    lengths.append(rows.norm(dim=1))
dot = torch.cat(dots, dim=1)
cosines = dot / (wide.norm(dim=1, keepdim=True) * torch.cat(lengths))
for name, by, cosine_of, dot_of in zip(wanted, $by, cosines, dot):
    if wanted[name].any():
        near = torch.argsort(-by.nan_to_num(nan=-torch.inf), stable=True)[:$k]
        print(f"nearest {name}  {near.tolist()}")
        tell(f"nearest {name}  cosine", cosine_of[near])
        tell(f"nearest {name}  dot", dot_of[near])
"""


def edited(edits: str, vectors: Mapping[str, np.ndarray], *, others: bool) -> str:
    """The lines that carry edits out and measure what becomes of every state, and of the text among `others`."""
    lines = "\n".join(_edit(edit, vectors) for edit in parse(edits)) or "# none"
    found = Template(EDITED).substitute(edits=lines)
    return found + (Template(NEIGHBOURS).substitute(most=MOST_NEIGHBOURS, at_once=TOKENS_AT_ONCE) if others else "")


def _edit(edit: Edit, vectors: Mapping[str, np.ndarray]) -> str:
    """The line or lines that carry out one edit."""
    end = "" if edit.last == -1 else str(edit.last + 1)
    at = f"lookup[{edit.first}:{end}]"
    if edit.kind == "scale":
        return f"{at} = {at} * {edit.number!r}"
    if edit.kind == "zero":
        return f"{at} = 0"
    if edit.kind == "noise":
        drawn = f"drawn = torch.randn({at}.shape, generator=torch.Generator().manual_seed({edit.seed}))"
        return f"{drawn}\n{at} += drawn * ({edit.number!r} * length / math.sqrt(lookup.shape[1]))"
    if edit.kind == "token":
        entry = f"table[{edit.value[1:]}]" if edit.value.startswith("#") and edit.value[1:].isdecimal() else ""
        return f"{at} = {entry or f'row_of({edit.value!r})'}"
    if edit.kind == "average":
        step = -1 if edit.value == "left" else 1
        beside = f"lookup[{edit.first + step}:{edit.last + 1 + step}]"
        return f"{at} = ({at} + {beside}) / 2"
    numbers = [float(number) for number in vectors[edit.value]]
    lines = [", ".join(map(repr, numbers[start : start + 4])) for start in range(0, len(numbers), 4)]
    return "\n".join([f"{at} = torch.tensor(", "    [", *(f"        {line}," for line in lines), "    ]", ")"])


def nearest(near: str, k: int, *, several: bool) -> str:
    """The lines that search the vocabulary by "cosine" or "dot"; where the lookup is the sum (not `several`) for less."""
    wanted = '"lookup": parts["word"][token]' + (', "sum": vectors["sum"][token]' if several else "")
    edited = '"lookup, edited": lookup[token]' + (', "sum, edited": moved' if several else "")
    by = "cosines" if near == "cosine" else "dot"
    values = {"wanted": wanted, "wanted_edited": edited, "rows": ROWS_AT_ONCE, "by": by, "k": k}
    return "\n" + Template(NEAREST).substitute(values)
