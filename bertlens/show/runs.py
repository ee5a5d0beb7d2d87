"""Runs: both sides of a comparison as calls in Python, as they are and in float64, and the verdict on what they return."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bertlens.run.condition import Condition
from bertlens.show.passes import indent

if TYPE_CHECKING:
    from bertlens.run.architecture import Architecture

DOUBLE_BY_ITSELF = frozenset({"bert", "distilbert", "roberta", "xlm-roberta", "electra", "albert", "camembert"})
"""Families whose modelling code never asks for float32, so that `model.double()` is float64 throughout."""

DOUBLE_THROUGHOUT = '''\
class DoubleThroughout(TorchFunctionMode):
    """Keep float64 where the model's own code asks for float32 (softmax, rotary angles)."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.Tensor.float:
            return args[0].double()
        args = tuple(torch.float64 if arg is torch.float32 else arg for arg in args)
        if kwargs.get("dtype") is torch.float32:
            kwargs = {**kwargs, "dtype": torch.float64}
        return func(*args, **kwargs)


'''

MEASURES = '''\
def same_bits(a, b):
    """Whether the rows hold the same bits; unlike ==, this tells 0.0 from -0.0."""
    return (a.view(torch.int64) == b.view(torch.int64)).all(1)


{equal}
max_abs = (left - right).abs().amax(1)
l2 = (left - right).norm(dim=1)
lengths = left.norm(dim=1) * right.norm(dim=1)
cosine = ((left * right).sum(1) / lengths).clamp(-1, 1)
cosine = torch.where({same} & (lengths > 0), 1.0, cosine)
'''

VERDICT = '''\
def verdict(i):
    """The verdict on text i; size alone never decides, what float64 leaves of the difference does."""
    finite = [bool(side[i].isfinite().all()) for side in (left, right)]
    if not all(finite):
        return "different" if any(finite) else "undecided"
    if equal[i]:
        return "identical"
    if not gap[i].isfinite():
        return "undecided"
    unit = scale[i] if scale[i] > 0 else torch.ones_like(scale[i])
    sides = []  # how far each side lies from its own float64 repeat, counted in eps of its format
    for run, repeat, dtype, most in ({left}, {right}):
        eps = torch.finfo(dtype).eps
        sides.append(((run[i] - repeat[i]).abs().max() / (unit * eps), dtype, eps, most))
    # the same sum in another order falls with the precision, another computation stays
    if gap[i] > {bound} * torch.finfo(torch.float64).eps * scale[i]:
        # unless the model amplifies rounding, which then shows in the run itself as well
        growth = gap[i] / (unit * torch.finfo(torch.float64).eps)
        for error, dtype, eps, most in sides:
            if dtype != torch.float64 and growth.clamp(max=1 / eps) > {follows} * error:
                return "different"
        return "different" if gap[i] > {ceiling} * torch.finfo(torch.float64).eps * scale[i] else "undecided"
    # rounding must also be possible
    if any(error > most for error, dtype, eps, most in sides):
        return "undecided"
    return "rounding"


verdicts = [verdict(i) for i in range(len(texts))]
for i in range(len(texts)):
    in_float64 = None if equal[i] or not gap[i].isfinite() else gap[i].item()
    print(
        f"text {{i}}  equal {{bool(equal[i])}}  max abs {{max_abs[i].item()!r}}  cosine {{cosine[i].item()!r}}  "
        f"l2 {{l2[i].item()!r}}  max abs in float64 {{in_float64!r}}  {{verdicts[i]}}"
    )
print("verdict", max(verdicts, key={order}.index))
'''


def attention_of(condition: Condition, architecture: Architecture) -> str:
    """The attention implementation that runs under a condition; some families have only "eager"."""
    return condition.attention if condition.attention in architecture.attentions else architecture.attentions[0]


class Runs:
    """The two sides as calls: which model each gets, as run and in float64."""

    def __init__(
        self, sides: tuple[Condition, Condition], architecture: Architecture, device: str, seed: int, *, shared: bool
    ) -> None:
        self.sides, self.device, self.seed = sides, device, seed
        self.attentions = tuple(attention_of(side, architecture) for side in sides)
        self.names = ("vectors", "vectors") if shared else ("reference", "candidate")
        self.dropout = any(side.dropout == "on" for side in sides)
        self.double_by_itself = architecture.kind in DOUBLE_BY_ITSELF
        plain = all(side.dtype == "float32" for side in sides) and self.attentions[0] == self.attentions[1]
        self.plain = plain and not self.dropout
        self.mixed = (sides[0].dtype == "float64") != (sides[1].dtype == "float64")

    def helpers(self, *, double: bool = True) -> list[str]:
        """The class and the function that other than plain runs need; the class only where something runs in float64."""
        lines = [DOUBLE_THROUGHOUT.rstrip("\n"), "", ""] if double and not self.double_by_itself else []
        if self.plain:
            return lines
        several = self.attentions[0] != self.attentions[1]
        elsewhere = self.device != "cpu"
        arguments = ["dtype"] + ["attention"] * several + ["device"] * elsewhere + ["seed=None"] * self.dropout
        body = [
            '"""The weights loaded above as a model of its own, so that no run disturbs another."""',
            f"twin = copy.deepcopy(model){'.to(device)' if elsewhere else ''}",
            "for weight in twin.parameters():  # twin.to(dtype) would round buffers, such as rotary angles, as well",
            "    weight.data = weight.data.to(dtype)",
        ]
        if several:
            body.append("twin.set_attn_implementation(attention)")
        if self.dropout:
            body += ["if seed is not None:  # dropout on", "    twin.train()", "    torch.manual_seed(seed)"]
        return [*lines, f"def instance({', '.join(arguments)}):", *indent([*body, "return twin"]), "", ""]

    def functions(self, bodies: list[list[str]]) -> list[str]:
        """`vectors(model)`, or `reference(model)` and `candidate(model)` where the two sides differ."""
        lines: list[str] = []
        for name, body in dict(zip(self.names, bodies, strict=True)).items():
            says = "One vector per text" if name == "vectors" else f"The {name}: one vector per text"
            lines += ["@torch.inference_mode()", f"def {name}(model):", *indent([f'"""{says}."""', *body]), "", ""]
        return lines

    def as_run(self) -> list[str]:
        """Lines that run both sides as their conditions say, and measure how far they lie apart."""
        equal = "equal = same_bits(left, right)"
        if self.mixed:
            coarse = "equal = same_bits(left.float().double(), right.float().double())  # in the coarser format"
            equal = f"same = same_bits(left, right)\n{coarse}"
        measures = MEASURES.format(equal=equal, same="same" if self.mixed else "equal")
        return [*self.both("left", "right", None, ".double()"), "", "", measures]

    def in_float64(self) -> list[str]:
        """Lines that run both sides again in float64 on the CPU, where they differ."""
        lines = [] if not self.plain else ["model.cpu().double()" if self.device != "cpu" else "model.double()"]
        lines += self.both("left64", "right64", "float64", "")
        lines += [
            "gap = (left64 - right64).abs().amax(1)",
            "scale = torch.maximum(left64.abs().amax(1), right64.abs().amax(1))  # the largest component",
        ]
        return ["if not equal.all():", *indent(lines)]

    def both(self, left: str, right: str, dtype: str | None, after: str) -> list[str]:
        """Lines that give `left` and `right` what the two sides return, in `dtype` or in their own number formats."""
        lines: list[str] = []
        for at, target in enumerate((left, right)):
            line = f"{target} = {self.names[at]}({self.model(at, dtype)}){after}"
            double = self.double(at, dtype)
            if double and lines[:1] == ["with DoubleThroughout():"] and at:
                lines.append(f"    {line}")
            else:
                lines += ["with DoubleThroughout():", f"    {line}"] if double else [line]
        return lines

    def double(self, at: int, dtype: str | None) -> bool:
        """Whether a side runs in float64 and needs `DoubleThroughout` for it."""
        return (dtype or self.sides[at].dtype) == "float64" and not self.double_by_itself

    def model(self, at: int, dtype: str | None) -> str:
        """The model of a side as an expression."""
        if self.plain:
            return "model"
        side = self.sides[at]
        arguments = [f"torch.{dtype or side.dtype}"]
        if self.attentions[0] != self.attentions[1]:
            arguments.append(f'"{self.attentions[at]}"')
        if self.device != "cpu":
            arguments.append(json.dumps("cpu" if dtype else self.device))
        if side.dropout == "on":
            arguments.append(f"seed={self.seed + at}")
        return f"instance({', '.join(arguments)})"

    def verdict(self) -> str:
        """The rule of the verdict, and a line per text with every number."""
        from bertlens.judge.verdict import BOUND, CEILING, FOLLOWS, PLAUSIBLE, VERDICTS

        left, right = (
            f"({name}, {name}64, torch.{side.dtype}, {PLAUSIBLE[side.dtype]!r})"
            for name, side in zip(("left", "right"), self.sides, strict=True)
        )
        order = "[" + ", ".join(f'"{word}"' for word in VERDICTS) + "]"
        rule = {"bound": repr(BOUND), "ceiling": repr(CEILING), "follows": repr(FOLLOWS)}
        return VERDICT.format(**rule, left=left, right=right, order=order)
