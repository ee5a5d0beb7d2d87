"""Headed: a checkpoint loaded in the class of a task, with the head between the last hidden state and the logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
import transformers

from bertlens.errors import BertlensError
from bertlens.run import loading
from bertlens.run.checkpoint import ONE_LOAD_AT_A_TIME, Checkpoint, LoadReport
from bertlens.run.outputs import called
from bertlens.run.variants import RANDOM, Variants

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from bertlens.run.inputs import Batch

SEED = 0
"""Of the draw of weights that the file does not hold."""


class Kind(NamedTuple):
    """One kind of head: its name in words, and the Auto class of transformers that builds it."""

    words: str
    auto: str

    @property
    def suffix(self) -> str:
        """How the names of its classes end, in every family."""
        return self.auto.removeprefix("AutoModel")


KINDS: dict[str, Kind] = {
    "sequence": Kind("sequence classification", "AutoModelForSequenceClassification"),
    "masked-lm": Kind("masked language modelling", "AutoModelForMaskedLM"),
    "token": Kind("token classification", "AutoModelForTokenClassification"),
    "question": Kind("question answering", "AutoModelForQuestionAnswering"),
}
"""Every kind of head that can be looked at; the first is taken where a checkpoint declares none."""


@dataclass(frozen=True, eq=False)
class Headed:
    """A model with its head, shared by everybody who uses it and never changed.

    Attributes
    ----------
    kind : a key of `KINDS`; `cls` is the name of the class, such as "BertForSequenceClassification".
    declared : the class that the config declares, "" where it declares none.
    report : what loading said, in the names of this class.
    base : name of the encoder inside the model, such as "bert".
    seed : with which the weights were drawn that are not in the file.
    device : where it runs.
    """

    kind: str
    cls: str
    declared: str
    report: LoadReport
    base: str
    seed: int
    device: str
    attentions: tuple[str, ...]
    variants: Variants

    @property
    def drawn(self) -> tuple[str, ...]:
        """Newly initialised weights on the way to the logits: those of the head, and a pooler's."""
        return tuple(name for name in self.report.newly_initialised if not name.startswith(f"{self.base}.") or "pooler" in name)

    @property
    def declares(self) -> bool:
        """Whether the config declares a class with this kind of head."""
        return self.declared.endswith(KINDS[self.kind].suffix)

    def instance(self, attention: str = "sdpa", *, dropout: bool = False) -> PreTrainedModel:
        """The model with an attention implementation and dropout off or on; never to be changed."""
        return self.variants.get("float32", self._attention(attention), dropout, self.device)

    def own_instance(self, attention: str = "sdpa", *, dropout: bool = False) -> PreTrainedModel:
        """The same as an object of the caller's own, on which hooks may hang; its parameters are the shared ones."""
        return self.variants.own("float32", self._attention(attention), dropout, self.device)

    def logits(
        self, batch: Batch, dtype: str, attention: str = "sdpa", *, dropout: bool = False, device: str | None = None
    ) -> torch.Tensor:
        """The logits of one forward pass on the CPU: (batch, labels), float64 of a float64 run and float32 otherwise.

        To be called within `running`, as every forward pass.

        Raises
        ------
        BertlensError
            Where the model refuses the inputs; its own words are kept.
        """
        where = "cpu" if dtype == "float64" else device or self.device
        out = called(self.variants.get(dtype, self._attention(attention), dropout, where), batch, where)
        found: torch.Tensor = out.logits.to("cpu", torch.float64 if dtype == "float64" else torch.float32)
        return found

    def _attention(self, wanted: str) -> str:
        return wanted if wanted in self.attentions else self.attentions[0]


def kind_of(config: Any) -> str:
    """The kind of head that a config declares; "" where it declares none of `KINDS`."""
    return next((kind for kind, one in KINDS.items() if declared_class(config).endswith(one.suffix)), "")


def declared_class(config: Any) -> str:
    """The first class in the `architectures` of a config, or ""."""
    return str(next(iter(getattr(config, "architectures", None) or ()), ""))


_LOADED: WeakKeyDictionary[Checkpoint, dict[str, Headed]] = WeakKeyDictionary()


def headed(checkpoint: Checkpoint, kind: str = "") -> Headed:
    """The checkpoint in the class of a head, loaded once; its encoder shares the parameters that are equal.

    Weights that the file does not hold are drawn with `SEED`; the state of PyTorch's generator is as before afterwards.

    Parameters
    ----------
    kind : a key of `KINDS`; "" is the one that the config declares, else "sequence".

    Raises
    ------
    BertlensError
        For a kind that there is not, or that this architecture does not have.
    """
    chosen = kind or kind_of(checkpoint.model.config) or next(iter(KINDS))
    if chosen not in KINDS:
        raise BertlensError("cannot load a head", got=f"the kind '{kind}'", expected=", ".join(KINDS))
    # always in this order: whoever seeds a load of weights takes the locks in it as well
    with RANDOM, ONE_LOAD_AT_A_TIME:
        known = _LOADED.setdefault(checkpoint, {})
        if chosen not in known:
            known[chosen] = _load(checkpoint, chosen)
        return known[chosen]


def _load(checkpoint: Checkpoint, kind: str) -> Headed:
    config = loading.config(checkpoint.folder, checkpoint.name)
    declared = declared_class(config)
    auto = getattr(transformers, KINDS[kind].auto)
    if type(config) not in auto._model_mapping:
        raise BertlensError(
            f"cannot load {checkpoint.name} for {KINDS[kind].words}",
            got=f"an architecture without that head ({checkpoint.architecture.kind})",
            do="choose another kind of head",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model, report = loading.model(checkpoint.folder, checkpoint.name, config, auto)
    model.to(checkpoint.device)  # type: ignore[arg-type]
    _share(model, checkpoint.model)
    return Headed(
        kind=kind,
        cls=type(model).__name__,
        declared=declared,
        report=report,
        base=model.base_model_prefix,
        seed=SEED,
        device=checkpoint.device,
        attentions=checkpoint.architecture.attentions,
        variants=Variants(model),
    )


def _share(model: PreTrainedModel, encoder: PreTrainedModel) -> None:
    """Give the model the encoder's own parameters where they hold the same numbers, so that memory holds them once."""
    theirs = dict(encoder.named_parameters())
    pairs = ((own, theirs[name]) for name, own in model.base_model.named_parameters() if name in theirs)
    shared = {id(own): other for own, other in pairs if own.shape == other.shape and torch.equal(own, other)}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and id(parameter) in shared:  # a tied decoder holds the same parameter
                module._parameters[name] = shared[id(parameter)]
