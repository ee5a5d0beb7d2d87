"""Recipe: what a checkpoint declares about making one vector of a text, which `AutoModel` does not carry out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertlens.judge.findings import Finding, named
from bertlens.judge.tokenizer.vocabulary import some, where
from bertlens.read.readout import Readout
from bertlens.read.spelling import spelled
from bertlens.run.documents import Documents
from bertlens.run.dossier import Dossier

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The flags of sentence-transformers before version 6, in the order in which it joins the vectors."""
WITHOUT_FILES = ("Transformer", "Normalize")
SPOKEN = {
    "cls": "the first token",
    "max": "the maximum over tokens",
    "mean": "the mean over tokens",
    "mean_sqrt_len_tokens": "the sum over tokens divided by the root of their number",
    "weightedmean": "the mean over tokens weighed by position",
    "lasttoken": "the last token",
}
GENERATOR = ("generator_predictions.", "generator_lm_head.")


@dataclass(frozen=True)
class Recipe:
    """How a checkpoint says that its vectors are made.

    Attributes
    ----------
    kinds : its modules in order, "Transformer", "Pooling", "Normalize" …
    modes : the pooling modes; several are joined end to end.
    dense : sizes of the layers behind the pooling, as (384, 256).
    normalised : whether the vector is divided by its length.
    size : components that the pooling expects per token, None where it does not say.
    """

    kinds: tuple[str, ...]
    modes: tuple[str, ...]
    dense: tuple[tuple[Any, Any], ...] = ()
    normalised: bool = False
    size: int | None = None

    @property
    def words(self) -> str:
        """The recipe in one sentence."""
        parts = [" joined with ".join(SPOKEN.get(mode, mode) for mode in self.modes)] if self.modes else []
        parts += [f"a dense layer {one} → {two}" for one, two in self.dense]
        known = ("Transformer", "Pooling", "Dense", "Normalize")
        parts += [kind for kind in self.kinds if kind not in known]
        parts += ["division by the length"] if self.normalised else []
        return ", then ".join(parts) or "nothing behind the transformer"

    @property
    def readout(self) -> str:
        """The readout that carries it out, "" where none can."""
        other = [kind for kind in self.kinds if kind not in ("Transformer", "Pooling", "Normalize")]
        return (
            ""
            if len(self.modes) != 1 or self.modes[0] not in SPOKEN or other
            else self.modes[0] + ("|l2" if self.normalised else "")
        )


def declared(documents: Documents) -> Recipe | None:
    """The recipe of modules.json, None where none is declared."""
    modules = documents.modules
    if not modules:
        return None
    pooling = next((config for kind, config in modules if kind == "Pooling"), None)
    dense = tuple((config.get("in_features"), config.get("out_features")) for kind, config in modules if kind == "Dense")
    kinds = tuple(kind for kind, _ in modules)
    modes = () if pooling is None else _modes(pooling)
    size = None if pooling is None else pooling.get("embedding_dimension", pooling.get("word_embedding_dimension"))
    return Recipe(kinds, modes, dense, "Normalize" in kinds, size if isinstance(size, int) else None)


def _modes(pooling: Mapping[str, Any]) -> tuple[str, ...]:
    named_modes = pooling.get("pooling_mode")
    if isinstance(named_modes, str):
        return (named_modes,)
    if isinstance(named_modes, list):
        return tuple(str(mode) for mode in named_modes)
    return tuple(mode for flag, mode in FLAGS.items() if pooling.get(flag))


def of_recipe(dossier: Dossier, readout: Readout | None = None) -> list[Finding]:
    """The declared recipe against itself, against the model, and against how the vectors are read."""
    recipe = declared(dossier.documents)
    found = [] if recipe is None else [*followed(recipe, readout, how(dossier, recipe)), *_itself(dossier, recipe)]
    return [*found, *_prompts(dossier), *_pooler(dossier, recipe, readout), *_generator(dossier), *_labels(dossier)]


def followed(recipe: Recipe, readout: Readout | None, follow: str) -> list[Finding]:
    """Whether a reader follows it; without a reader, what it is. `follow` is the code that does, as `how` writes it."""
    evidence: dict[str, Any] = {"declared": recipe.words, "modules": list(recipe.kinds), "readout": str(readout or "")}
    if not recipe.modes and set(recipe.kinds) <= {"Transformer", "Pooling"}:
        return []  # nothing is declared, or a folder is missing, which is told by itself
    raw = [] if recipe.normalised == bool(readout and readout.l2) else [_raw(recipe, readout)]
    if readout is None:
        title = f"The checkpoint declares how its vectors are made: {recipe.words}; AutoModel carries out none of it"
        return [replace(named("pooling-recipe-not-followed", "note", evidence, (), title), code=follow), *raw]
    if readout.pooling == "pooler":
        title = f"The checkpoint declares {recipe.words}; pooler_output is another vector altogether"
        return [replace(named("pooler-as-sentence-vector", "problem", evidence, ("pooler_output",), title), code=follow), *raw]
    same = {"first_position": "cls"}.get(readout.pooling, readout.pooling)
    if recipe.modes != (same,) or readout.layers != "-1" or not recipe.readout:
        title = f"The checkpoint declares {recipe.words}; {readout} gives other vectors"
        finding = named("pooling-recipe-not-followed", "caution", evidence, (str(readout),), title)
        return [replace(finding, code=follow), *raw]
    return raw


def _raw(recipe: Recipe, readout: Readout | None) -> Finding:
    who = str(readout or "AutoModel")
    does, leaves = ("The checkpoint", who) if recipe.normalised else (who, "the checkpoint's recipe")
    title = f"{does} divides vectors by their length, {leaves} does not: dot products and distances differ, cosines do not"
    finding = named("normalised-vs-raw", "note", {"declared": recipe.words}, (str(readout),) if readout else (), title)
    return replace(finding, code="vectors = torch.nn.functional.normalize(vectors, dim=-1)")


def how(checkpoint: Dossier | Checkpoint, recipe: Recipe) -> str:
    """What carries the recipe out: PyTorch and our own command, or sentence-transformers where no readout can."""
    if not recipe.readout:
        return f"from sentence_transformers import SentenceTransformer\nmodel = SentenceTransformer({where(checkpoint)})"
    command = (
        f"bertlens pool {shlex.quote(checkpoint.name)} --texts texts.txt --readout '{recipe.readout}' --out vectors.parquet"
    )
    return f"{spelled(recipe.readout)}\n# or for all texts of a file: {command}"


def without_pooler(finding: Finding, checkpoint: Dossier | Checkpoint, recipe: Recipe | None) -> Finding:
    """What speaks against `pooler_output`, with the code that reads what is declared instead, where something is."""
    return replace(finding, code=how(checkpoint, recipe)) if recipe and recipe.modes else finding


def _itself(dossier: Dossier, recipe: Recipe) -> list[Finding]:
    """Contradictions inside the declaration."""
    wrong: dict[str, Any] = {}
    hidden = int(dossier.encoder.config.hidden_size)
    missing = _missing(dossier.documents)
    if missing:
        wrong[f"{' and '.join(missing)} named in modules.json but not in the folder"] = {"missing": missing}
    if "Pooling" in recipe.kinds and not missing:
        if not recipe.modes:
            wrong["no pooling mode is switched on (sentence-transformers then takes the mean)"] = {"modes": []}
        if len(recipe.modes) > 1:
            wrong[f"{len(recipe.modes)} pooling modes, so vectors of {len(recipe.modes)} × {hidden} components"] = {
                "modes": list(recipe.modes)
            }
        strange = [mode for mode in recipe.modes if mode not in SPOKEN]
        if strange:
            wrong[f"the pooling mode {strange[0]!r}, which sentence-transformers does not know"] = {"unknown": strange}
    if recipe.size is not None and recipe.size != hidden:
        wrong[f"a pooling of {recipe.size} components on a model of {hidden}"] = {"pooling": recipe.size, "hidden_size": hidden}
    wide = (recipe.size or hidden) * max(1, len(recipe.modes))
    if recipe.dense and isinstance(recipe.dense[0][0], int) and recipe.dense[0][0] != wide:
        wrong[f"a dense layer for {recipe.dense[0][0]} components behind {wide}"] = {"dense": list(recipe.dense[0])}
    if not wrong:
        return []
    title = f"The declared recipe contradicts itself or the model: {'; '.join(wrong)}"
    evidence = {key: value for part in wrong.values() for key, value in part.items()}
    finding = named("pooling-recipe-not-followed", "caution", evidence, ("vectors of sentence-transformers",), title)
    remedy = "Mend modules.json and the folders that it names, or copy them from the checkpoint it was made from."
    return [replace(finding, remedy=remedy)]


def _missing(documents: Documents) -> list[str]:
    """Folders of modules that hold nothing; a normalisation needs none."""
    listed = documents.json("modules.json")
    found = []
    for part in listed if isinstance(listed, list) else []:
        path = str(part.get("path", "")) if isinstance(part, dict) else ""
        kind = str(part.get("type", "")).rsplit(".", 1)[-1] if path else ""
        plain = ".." not in Path(path).parts and not Path(path).is_absolute()
        if path and kind not in WITHOUT_FILES and plain and not (documents.root / path / "config.json").is_file():
            found.append(f"{path}/config.json")
    return found


def _prompts(dossier: Dossier) -> list[Finding]:
    """Prompts that sentence-transformers puts before a text and AutoTokenizer does not."""
    stated = dossier.documents["config_sentence_transformers.json"]
    listed = stated.get("prompts")
    prompts = {str(name): text for name, text in (listed.items() if isinstance(listed, dict) else ()) if isinstance(text, str)}
    spoken = {name: text for name, text in prompts.items() if text}
    default = stated.get("default_prompt_name")
    evidence = {"prompts": {name: spoken[name] for name in some(list(spoken))}, "default_prompt_name": default}
    found = []
    if isinstance(default, str) and default not in prompts:
        names = ", ".join(map(repr, some(list(prompts)))) or "none"
        title = f"default_prompt_name is {default!r}, but the declared prompts are {names}"
        found.append(named("prompt-prefix", "caution", evidence, ("vectors of sentence-transformers",), title))
    elif spoken:
        listing = ", ".join(f"{name} {text!r}" for name, text in list(spoken.items())[:3])
        always = f", {default} before every text unless told otherwise" if default in spoken else ""
        number = f"{len(spoken)} prompts" if len(spoken) > 1 else "A prompt"
        title = f"{number} declared ({listing}{always}): AutoTokenizer puts none before a text"
        chosen = spoken.get(str(default)) or next(iter(spoken.values()))
        finding = named("prompt-prefix", "note", evidence, (), title)
        found.append(replace(finding, code=f"texts = [{chosen!r} + text for text in texts]"))
    return found


def _pooler(dossier: Dossier, recipe: Recipe | None, readout: Readout | None) -> list[Finding]:
    """Models that return no pooler_output."""
    if "pooler_output" in dossier.encoder.outputs:
        return []
    asked = readout is not None and readout.pooling == "pooler"
    title = f"{dossier.encoder.name} has no pooler: there is no pooler_output to read"
    evidence = {
        "model_type": dossier.config.model_type,
        "outputs": list(dossier.encoder.outputs[-1:]),
        "readout": str(readout or ""),
    }
    finding = named("architecture-without-pooler", "problem" if asked else "note", evidence, ("pooler_output",), title)
    return [without_pooler(replace(finding, code=spelled("mean")), dossier, recipe)]


def _generator(dossier: Dossier) -> list[Finding]:
    """ELECTRA's small generator, where its discriminator is the encoder that was meant to be kept."""
    if dossier.config.model_type != "electra":
        return []
    classes = [str(name) for name in getattr(dossier.config, "architectures", None) or []]
    keys = [key for key in dossier.weights if any(part in key for part in GENERATOR)]
    if not keys and "ElectraForMaskedLM" not in classes:
        return []
    title = "This is ELECTRA's generator, which only made the training examples: the discriminator is the encoder to use"
    return [
        named(
            "architecture-without-pooler", "caution", {"architectures": classes, "keys": some(keys)}, ("every output",), title
        )
    ]


def _labels(dossier: Dossier) -> list[Finding]:
    """A classifier whose classes have no names but LABEL_0, LABEL_1 …"""
    classes = [name for name in getattr(dossier.config, "architectures", None) or [] if str(name).endswith("Classification")]
    names = {int(number): str(name) for number, name in (getattr(dossier.config, "id2label", None) or {}).items()}
    if not classes or len(names) < 2 or any(name != f"LABEL_{number}" for number, name in names.items()):
        return []
    title = f"The names of the {len(names)} classes are not stored: config.json knows them as LABEL_0 to LABEL_{len(names) - 1}"
    code = "model.config.id2label = {0: …, 1: …}   # in the order of training\nmodel.save_pretrained(folder)"
    evidence = {"architecture": str(classes[0]), "id2label": {str(number): names[number] for number in some(sorted(names))}}
    return [replace(named("classifier-untrained", "note", evidence, ("labels",), title), code=code)]
