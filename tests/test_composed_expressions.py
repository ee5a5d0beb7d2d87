"""Expressions composed at random of legal operations: their values are those of Python, their cells those that move them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertlens.read.expression.evaluate import evaluate
from tests.expressions.bench import benches
from tests.expressions.oracle import as_array, moved, run
from tests.test_expressions import compare

Shape = tuple[int, ...]
Step = Callable[[st.DataObject, Shape], str | None]

START = [
    "x = last_hidden_state",
    "x = outputs[0][:, 1:]",
    "x = torch.stack(hidden_states)",
    "x = torch.stack(hidden_states[-3:], dim=1)",
    "x = torch.cat(hidden_states[-2:], dim=-1)",
    "x = torch.cat(hidden_states[1:3], dim=1)",
    "x = last_hidden_state * attention_mask.unsqueeze(-1)",
    "x = last_hidden_state.masked_fill(attention_mask.unsqueeze(-1) == 0, 0.0)",
    "x = last_hidden_state[attention_mask.bool()]",
    "x = last_hidden_state.numpy()[:, :4]\nx = torch.tensor(x)",
    "x = hidden_states[-1] + hidden_states[2]",
    "x = torch.stack([h[:, 0] for h in hidden_states[-2:]])",
    "x = pooler_output",
]


def an_axis(data: st.DataObject, shape: Shape) -> int:
    return data.draw(st.integers(-len(shape), len(shape) - 1), label="axis")


def index(data: st.DataObject, shape: Shape) -> str | None:
    axis = an_axis(data, shape) % len(shape)
    return f"x = x[{':, ' * axis}{data.draw(st.integers(-shape[axis], shape[axis] - 1))}]" if shape[axis] else None


def cut(data: st.DataObject, shape: Shape) -> str | None:
    axis = an_axis(data, shape) % len(shape)
    if not shape[axis]:
        return None
    start = data.draw(st.integers(0, shape[axis] - 1))
    step = data.draw(st.sampled_from([1, 1, 2, 3]))
    return f"x = x[{':, ' * axis}{start}:{data.draw(st.integers(start + 1, shape[axis]))}:{step}]"


def several(data: st.DataObject, shape: Shape) -> str | None:
    axis = an_axis(data, shape) % len(shape)
    chosen = data.draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=3))
    return f"x = x[{':, ' * axis}{chosen}]"


def reduce(data: st.DataObject, shape: Shape) -> str | None:
    how = data.draw(st.sampled_from(["mean({})", "sum({})", "amax({})", "max({}).values", "max({})[0]", "norm(dim={})"]))
    keep = data.draw(st.booleans())
    axis = an_axis(data, shape)
    return "x = x." + (how.format(f"{axis}, keepdim=True") if keep else how.format(axis))


def permute(data: st.DataObject, shape: Shape) -> str | None:
    return f"x = x.permute({', '.join(map(str, data.draw(st.permutations(range(len(shape))))))})"


def exchange(data: st.DataObject, shape: Shape) -> str | None:
    return f"x = x.transpose({an_axis(data, shape)}, {an_axis(data, shape)})"


def merge(data: st.DataObject, shape: Shape) -> str | None:
    first = data.draw(st.integers(0, len(shape) - 1))
    return f"x = x.flatten({first}, {data.draw(st.integers(first, len(shape) - 1))})"


def reshape(data: st.DataObject, shape: Shape) -> str | None:
    size = int(np.prod(shape))
    divisor = data.draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
    return f"x = x.reshape({divisor}, {data.draw(st.sampled_from([-1, size // divisor]))})"


def put_in(data: st.DataObject, shape: Shape) -> str | None:
    return f"x = x.unsqueeze({an_axis(data, shape)})" if len(shape) < 5 else None


def take_out(data: st.DataObject, shape: Shape) -> str | None:
    return data.draw(st.sampled_from(["x = x.squeeze()", f"x = x.squeeze({an_axis(data, shape)})"]))


def beside(data: st.DataObject, shape: Shape) -> str | None:
    axis = an_axis(data, shape)
    return data.draw(st.sampled_from([f"x = torch.cat([x, x * 2], dim={axis})", f"x = torch.stack([x, x + 1], dim={axis})"]))


def scale(data: st.DataObject, shape: Shape) -> str | None:
    # exact zeros among the factors, which nothing passes
    axis = an_axis(data, shape) % len(shape)
    factors = data.draw(st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=shape[axis], max_size=shape[axis]))
    ones = ", ".join(["1"] * axis + ["-1"] + ["1"] * (len(shape) - axis - 1))
    return f"x = x * torch.tensor({factors}).view({ones})"


# Every operation here lets a single cell be seen: no least value of what has a floor, nothing subtracted from itself, no
# constant so large that a cell is lost beside it.
def pointwise(data: st.DataObject, shape: Shape) -> str | None:
    return data.draw(st.sampled_from(["x = x / 3", "x = x + x.mean()", "x += 1", "x = x.clone()", "x = 2 * x + 1"]))


def parts(data: st.DataObject, shape: Shape) -> str | None:
    axis = an_axis(data, shape)
    return data.draw(
        st.sampled_from([f"x = x.chunk(2, dim={axis})[0]", f"x = x.split(1, dim={axis})[-1]", f"x = x.flip({axis})"])
    )


def product(data: st.DataObject, shape: Shape) -> str | None:
    return "x = x @ x.transpose(-1, -2)" if len(shape) >= 2 and max(shape) <= 12 else None


STEPS: list[Step] = [
    index, cut, several, reduce, permute, exchange, merge, reshape, put_in, take_out, beside, scale, pointwise, parts, product,
]  # fmt: skip


@pytest.mark.parametrize("bench", ["two", "one", "three"])
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_composed_at_random(bench: str, data: st.DataObject) -> None:
    capture = benches()[bench]
    code = data.draw(st.sampled_from(START))
    for _ in range(data.draw(st.integers(2, 6))):
        shape = as_array(run(code, capture)).shape
        if not shape or 0 in shape or np.prod(shape) > 4000:
            break
        line = data.draw(st.sampled_from(STEPS))(data, shape)
        code += f"\n{line}" if line else ""
    trace = evaluate(code, capture)
    value = as_array(run(code, capture))
    assert trace.failure is None, code
    assert np.array_equal(as_array(trace.value), value, equal_nan=True), code
    assert trace.result is not None
    assert trace.result.shape == value.shape, code
    axis = trace.result.axes.index("batch") if "batch" in trace.result.axes else None
    compare(trace, moved(code, capture, axis=axis), capture.real)
