"""Environment: what else a number depends on, recorded with every result."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from typing import Any

import bertlens
from bertlens.run.texts import Texts


def environment(texts: Texts, device: str, seed: int) -> dict[str, Any]:
    """Versions, threads, device, seed, and a digest of the texts (never the texts themselves)."""
    import torch

    packed = json.dumps(texts, ensure_ascii=True).encode("ascii")
    return {
        "bertlens": bertlens.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "tokenizers": version("tokenizers"),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "device": device,
        "seed": seed,
        "texts": len(texts),
        "texts_sha256": hashlib.sha256(packed).hexdigest(),
    }
