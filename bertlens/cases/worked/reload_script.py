"""Reload script: a copy without a pooler, loaded twice, in torch and transformers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertlens.run.condition import Condition
from bertlens.run.texts import Texts
from bertlens.show.passes import Passes
from bertlens.show.runs import attention_of
from bertlens.show.script import imports, loaded, named

if TYPE_CHECKING:
    from bertlens.run.architecture import Architecture

LOADS = """\


def both(model):
    with torch.inference_mode():
        out = model(**batch)
    return {"pooler_output": out.pooler_output, "last_hidden_state[:, 0]": out.last_hidden_state[:, 0]}


with tempfile.TemporaryDirectory() as folder:
    state = {name: x.clone() for name, x in model.state_dict().items() if "pooler" not in name.split(".")}
    model.save_pretrained(folder, state_dict=state)
    loads = []
    for seed in (0, 1):
        torch.manual_seed(seed)  # without it, every load draws other numbers
        loads.append(both(AutoModel.from_pretrained(folder, dtype=torch.float32).eval()))

for name, one in loads[0].items():
    for text, (left, right) in enumerate(zip(one.double(), loads[1][name].double())):
        print(f"{name}  text {text}  equal {torch.equal(left, right)}  max abs {(left - right).abs().max().item()}")
"""


def reload_script(checkpoint: str, texts: Texts, *, architecture: Architecture, max_length: int) -> str:
    """Two loads of the checkpoint without its pooler; prints how far their vectors lie apart, text by text.

    Parameters
    ----------
    checkpoint : "minilm", a folder or a Hub id.
    max_length : tokens at which texts are truncated, `Checkpoint.max_length`.
    """
    parts = [
        '"""A checkpoint without a pooler, loaded twice: pooler_output is another one, last_hidden_state[:, 0] the same.',
        "",
        "The checkpoint is written without its pooler, as a masked-language model saves it.",
        '"""\n',
        *imports(checkpoint, "tempfile"),
        "",
        *named(checkpoint, texts),
        *loaded(attention_of(Condition(), architecture), "torch.float32", "cpu"),
        "",
        *Passes(Condition(), texts, architecture, max_length).first_inputs(),
        LOADS,
    ]
    return "\n".join(parts)
