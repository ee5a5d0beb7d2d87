"""Questions: what pages ask of the core, each answered once and kept, with progress while it runs."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

from bertlens.read.readout import Readout
from bertlens.run.condition import Condition
from ui import memory
from ui.frame import Page, Stopped
from ui.progress import working

if TYPE_CHECKING:
    from bertlens.judge.attention import Attention, AttentionOfTexts, PaddingLook
    from bertlens.judge.checkpoint.checkup import Checkup
    from bertlens.judge.cls_attention import ClsAttention
    from bertlens.judge.comparison import Comparison
    from bertlens.judge.costs import Costs
    from bertlens.judge.dropout_runs import DropoutRuns
    from bertlens.judge.expression.explained import Explained
    from bertlens.judge.head import Head
    from bertlens.judge.layers import Layers
    from bertlens.judge.parting import Parting
    from bertlens.judge.pooling import Poolings
    from bertlens.judge.rows import Rows
    from bertlens.judge.sweep import Sweep
    from bertlens.judge.token_layers import TokenLayers
    from bertlens.judge.token_shares import TokenShares
    from bertlens.judge.trap import PaddingTrap
    from bertlens.judge.weights.matrix import Matrix
    from bertlens.judge.weights.reload import Reload
    from bertlens.read.capture import Capture
    from bertlens.read.slicing import Tensor
    from bertlens.remedies.repair import Plan
    from bertlens.run.progress import Progress
    from bertlens.run.texts import Texts

T = TypeVar("T")


def compare(page: Page, reference: Condition, candidate: Condition, readout: Readout, texts: Any = None) -> Comparison:
    """The comparison of two conditions on the page's texts, or on some of them."""
    from bertlens import diagnose

    checkpoint, chosen = page.checkpoint(), texts or page.texts

    def make(progress: Progress) -> Comparison:
        conditions = {"reference": reference, "candidate": candidate}
        return diagnose.compare(checkpoint, chosen, **conditions, readout=readout, progress=progress)  # type: ignore[arg-type]

    return _asked(page, f"Comparing {len(chosen):,} texts", ("compare", chosen, reference, candidate, readout), make)


def sweep(page: Page, text: int, condition: Condition, readout: Readout) -> Sweep:
    """The padding sweep of one text."""
    from bertlens import diagnose

    checkpoint, chosen = page.checkpoint(), page.texts[text : text + 1]

    def make(progress: Progress) -> Sweep:
        return diagnose.padding_sweep(checkpoint, chosen, condition=condition, readout=readout, progress=progress)

    kept = condition.replace(mask="on", padding="longest", batch="whole", dtype="float32")
    return _asked(page, "Sweeping the padded length", ("sweep", chosen, kept, readout), make)


def parting(page: Page, text: int, reference: Condition, candidate: Condition, *, float64: bool) -> Parting:
    """Where two runs of one text part."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Parting:
        conditions = {"reference": reference, "candidate": candidate}
        return diagnose.where_they_part(checkpoint, page.texts, text, **conditions, float64=float64)  # type: ignore[arg-type]

    return _asked(page, "Comparing layer by layer", ("parting", page.texts, text, reference, candidate, float64), make)


def shapes(page: Page, condition: Condition) -> tuple[Tensor, ...]:
    """Every tensor in and out."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()
    return _asked(
        page,
        "Running the model",
        ("shapes", page.texts, condition),
        lambda progress: diagnose.shapes(checkpoint, page.texts, condition=condition),
    )


def capture(page: Page, condition: Condition) -> Capture:
    """All outputs of the first forward pass, for expressions; another expression does not run the model again."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Capture:
        return diagnose.capture(checkpoint, page.texts, condition=condition)

    return _asked(page, "Running the model", ("capture", page.texts, condition), make, memory.huge)


def explain(page: Page, expression: str, condition: Condition) -> Explained:
    """An expression on these outputs, step by step."""
    from bertlens import diagnose

    outputs = capture(page, condition)
    values = ("explain", page.texts, condition, expression)
    return _asked(page, "Evaluating", values, lambda progress: diagnose.explain(expression, outputs), memory.large)


def index_or_slice(page: Page, texts: Texts, text: int, padding: str | int) -> Rows:
    """Index, slice and batch of the array of some texts."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()
    return _asked(
        page,
        "Taking rows by index and by slice",
        ("index", texts, text, padding),
        lambda progress: diagnose.index_or_slice(checkpoint, texts, text, padding=padding, progress=progress),
    )


def layers(page: Page) -> Layers:
    """Every hidden state of the texts, measured in one pass; what is drawn from it runs nothing."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Layers:
        return diagnose.layers(checkpoint, page.texts, progress=progress)

    return _asked(page, f"Reading every layer of {len(page.texts):,} texts", ("layers", page.texts), make, memory.huge)


def token_path(page: Page, text: int, condition: Condition) -> TokenLayers:
    """One text in every hidden state, token by token."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> TokenLayers:
        return diagnose.token_path(checkpoint, page.texts, text, condition=condition)

    return _asked(page, "Reading one text", ("tokens", page.texts, text, condition), make, memory.large)


def longest(page: Page) -> int:
    """Tokens to which attention cuts a text."""
    from bertlens import diagnose

    return diagnose.longest_row(page.checkpoint())


def attentions(page: Page, *sides: tuple[int, Condition]) -> tuple[Attention, ...]:
    """A text's attention under a condition, or two of them, with the maps of all heads as far as they fit into memory."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> tuple[Attention, ...]:
        fitted = [(text, diagnose.fitted(checkpoint, condition)) for text, condition in sides]
        return tuple(diagnose.attention(checkpoint, page.texts, text, condition=how, progress=progress) for text, how in fitted)

    return _asked(page, "Reading the attention", ("attention", page.texts, sides), make, memory.huge)


def attention_of_layer(page: Page, text: int, condition: Condition, layer: int) -> Attention:
    """The same with the maps of one layer, for a text of which not all are kept."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Attention:
        chosen = diagnose.fitted(checkpoint, condition)
        return diagnose.attention(checkpoint, page.texts, text, condition=chosen, layer=layer, progress=progress)

    values = ("attention of a layer", page.texts, text, condition, layer)
    return _asked(page, "Reading the attention of a layer", values, make, memory.large)


def attention_to_padding(page: Page, text: int, padding: int | None) -> PaddingLook:
    """How much attention goes to padding with the mask and without it."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> PaddingLook:
        return diagnose.attention_to_padding(checkpoint, page.texts, text, padding=padding, progress=progress)

    return _asked(page, "Padding the text", ("attention to padding", page.texts, text, padding), make)


def attention_of_texts(page: Page) -> AttentionOfTexts:
    """Where the attention of every text rests."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> AttentionOfTexts:
        condition = diagnose.fitted(checkpoint, Condition())
        return diagnose.attention_of_texts(checkpoint, page.texts, condition=condition, progress=progress)

    return _asked(page, f"Reading the attention of {len(page.texts):,} texts", ("attention of texts", page.texts), make)


def pooling(page: Page, condition: Condition) -> Poolings:
    """The usual readouts of the texts, all from one pass."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Poolings:
        return diagnose.pooling(checkpoint, page.texts, condition=condition, progress=progress)

    return _asked(page, f"Pooling {len(page.texts):,} texts", ("pooling", page.texts, condition), make, memory.huge)


def other_readouts(page: Page, condition: Condition, readouts: tuple[str, ...]) -> Poolings:
    """Readouts of one's own from the pass that `pooling` made; nothing is run."""
    from bertlens import diagnose

    known = pooling(page, condition)
    if readouts in ((), known.readouts):
        return known
    return diagnose.pooling(page.checkpoint(), page.texts, condition=condition, readouts=readouts, known=known)


def padding_trap(page: Page, texts: Texts, poolings: tuple[str, ...]) -> PaddingTrap:
    """Poolings at growing padding."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> PaddingTrap:
        return diagnose.padding_trap(checkpoint, texts, poolings=poolings, progress=progress)

    return _asked(page, "Padding the texts", ("trap", texts, poolings), make)


def pooling_costs(page: Page, condition: Condition, readouts: tuple[str, ...]) -> Costs:
    """What each readout costs beside the forward pass."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> Costs:
        return diagnose.pooling_costs(checkpoint, page.texts, condition=condition, readouts=readouts, progress=progress)

    return _asked(page, "Timing the readouts", ("costs", page.texts, condition, readouts), make)


def head(page: Page, text: int, kind: str, token: int) -> Head:
    """One text through the head of the model, step by step, and what it says about the others."""
    from bertlens import diagnose

    checkpoint, of_token = page.checkpoint(), 0 if kind in ("", "sequence") else token

    def make(progress: Progress) -> Head:
        return diagnose.head(checkpoint, page.texts, text, kind=kind, token=of_token, progress=progress)

    return _asked(page, "Following the head", ("head", page.texts, text, kind, of_token), make, memory.large)


def head_dropout(page: Page, text: int) -> DropoutRuns:
    """One text with dropout on, many times."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> DropoutRuns:
        return diagnose.head_dropout(checkpoint, page.texts, text, progress=progress)

    return _asked(page, "Drawing dropout", ("dropout", page.texts[text]), make)


def cls_attention(page: Page, text: int) -> ClsAttention:
    """What [CLS] of one text attends to."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()

    def make(progress: Progress) -> ClsAttention:
        return diagnose.cls_attention(checkpoint, page.texts, text)

    return _asked(page, "Reading the attention", ("cls attention", page.texts[text]), make, memory.large)


def token_shares(page: Page, text: int, label: int, baseline: str, steps: int) -> TokenShares:
    """Each token's part in one logit."""
    from bertlens import diagnose

    checkpoint = page.checkpoint()
    asked = {"label": label, "baseline": baseline, "steps": steps}

    def make(progress: Progress) -> TokenShares:
        return diagnose.token_shares(checkpoint, page.texts, text, **asked, progress=progress)  # type: ignore[arg-type]

    return _asked(page, "Sharing out the logit", ("shares", page.texts[text], *asked.values()), make)


def check(page: Page) -> Checkup:
    """What the checkpoint's files betray, with what the page's texts add; the weights are not read again for other texts."""
    from bertlens import diagnose

    def read(progress: Progress) -> Checkup:
        return diagnose.check(page.name, progress=progress)

    checkup = _asked(page, f"Reading the files of {page.name}", ("check",), read)

    def tokenise(progress: Progress) -> Checkup:
        return diagnose.check_texts(checkup, page.name, page.texts)

    return _asked(page, "Tokenising the texts", ("check", page.texts), tokenise)


def repair_plan(page: Page, finding: str) -> Plan:
    """What a repair of a finding would do, and the code for it."""
    from bertlens.remedies.repair import plan

    checkup = check(page)
    return _asked(page, "Planning the repair", ("plan", finding, page.texts), lambda _: plan(page.name, finding, checkup))


def weight_matrix(page: Page, module: str) -> Matrix:
    """One weight with its spectrum."""
    from bertlens import diagnose

    return _asked(
        page, "Decomposing the weight", ("matrix", module), lambda progress: diagnose.weight_matrix(page.name, module)
    )


def reload(page: Page) -> Reload:
    """Two loads of the checkpoint on the page's first texts."""
    from bertlens.judge.weights.reload import MOST_TEXTS, load_twice

    texts = page.texts[:MOST_TEXTS]
    return _asked(page, "Loading twice", ("reload", texts), lambda progress: load_twice(page.name, texts, progress))


def _asked(
    page: Page, what: str, values: Hashable, make: Callable[[Progress], T], keep: Callable[..., Any] = memory.result
) -> T:
    """The answer from memory, or made now; cancelling leaves the page where it is."""
    answer: T | None = working((page.name, values), what, lambda progress: keep(page.name, values, lambda: make(progress)))
    if answer is None:
        raise Stopped
    return answer
