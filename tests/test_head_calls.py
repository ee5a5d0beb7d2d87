"""The hooks that follow a head: hung once or for every pass, they see the same, and none is left behind."""

from __future__ import annotations

import pytest
import torch

from bertlens.read.head import following, trace
from bertlens.run.headed import headed
from tests.conftest import Loaded
from tests.test_head import SEQUENCE, batch_of


@pytest.mark.parametrize("family", ["bert", "albert", "modernbert"])
def test_hooks_that_stay_follow_every_pass_as_a_pass_of_its_own(family: str, loaded: Loaded) -> None:
    checkpoint = loaded(family, head=SEQUENCE)
    model, batches = headed(checkpoint).own_instance(), [batch_of(checkpoint, text) for text in range(3)]
    with torch.inference_mode():
        with following(model) as follow:
            many = [follow(batch.tensors, batch.real) for batch in batches]
            with pytest.raises((TypeError, ValueError), match="input_ids"):
                follow({}, batches[0].real)
            many.append(follow(batches[0].tensors, batches[0].real))
        each = [trace(model, batch.tensors, batch.real) for batch in (*batches, batches[0])]
    for one, other in zip(many, each, strict=True):
        assert [(call.name, call.module, call.alone) for call in one.calls] == [
            (call.name, call.module, call.alone) for call in other.calls
        ]
        assert torch.equal(one.logits, other.logits) and torch.equal(one.last, other.last)
    assert not torch.equal(many[0].last[:, 0], many[1].last[:, 0]), "the premise: the passes differ"
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
