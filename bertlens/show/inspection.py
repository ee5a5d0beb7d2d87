"""Inspection: the check of a checkpoint as a Python file that needs only torch and transformers, with the same numbers."""

from __future__ import annotations

from bertlens.run.checkpoint import PACKAGED
from bertlens.show.script import located

BODY = """\
model, report = AutoModel.from_pretrained(
    checkpoint, dtype=torch.float32, output_loading_info=True, local_files_only=True, ignore_mismatched_sizes=True
)
for what in ("missing_keys", "mismatched_keys", "unexpected_keys"):
    print(what, sorted(str(key) for key in report[what]))

# a linear layer whose bias is exactly zero was hardly ever trained; one whose largest singular value stays at the edge
# of the Marchenko-Pastur law shows no more structure than independent draws
for name, module in model.named_modules():
    if isinstance(module, torch.nn.Linear) and (name == chosen or module.bias is not None and not module.bias.any()):
        weight = module.weight.detach().double()
        edge = weight.square().mean().sqrt() * (weight.shape[0] ** 0.5 + weight.shape[1] ** 0.5)
        largest = torch.linalg.matrix_norm(weight, 2)
        bias = "none" if module.bias is None else "moved" if module.bias.any() else "exactly zero"
        print(f"{name}: bias {bias}, largest singular value {largest / edge:.3f} of the edge")
"""


def inspection_script(checkpoint: str, module: str) -> str:
    """Load the checkpoint, print the load report, and judge one weight and all whose bias never moved.

    Parameters
    ----------
    module : the weight to look at, "pooler.dense".
    """
    standard = ["import importlib.util", "from pathlib import Path", ""] if checkpoint == PACKAGED else []
    head = ['"""Which weights of a checkpoint are real? Needs only torch and transformers."""', ""]
    imports = [*standard, "import torch", "from transformers import AutoModel", ""]
    return "\n".join([*head, *imports, *located(checkpoint), f"chosen = {module!r}", "", BODY])
