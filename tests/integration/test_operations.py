"""Operations that cannot be made equal on all processors are kept out of the pipeline."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from poseparity.pipeline import Pipeline

# torch.sqrt was seen to differ between AVX-512 and AVX2 under all pins (see lockfiles/parity.toml, fingerprint). These
# are the operations that a program can call which take a square root with torch's own vectorised code.
UNEQUAL = {
    "aten::sqrt", "aten::sqrt_", "aten::rsqrt", "aten::rsqrt_", "aten::norm", "aten::linalg_vector_norm", "aten::std",
    "aten::std_mean", "aten::cdist", "aten::_cdist_forward", "aten::_euclidean_dist", "aten::hypot", "aten::hypot_",
}  # fmt: skip
_ROOTS = (0.5, -0.5)  # of pow, which is a square root then


class Watch(TorchDispatchMode):
    """Counts the operations that torch dispatches in the block."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name
        root = name.startswith("aten::pow") and any(argument in _ROOTS for argument in args if type(argument) is float)
        self.seen["aten::sqrt" if root else name] += 1
        return function(*args, **(kwargs or {}))


def test_no_operation_of_the_pipeline_is_one_that_differs_between_processors(demo_bundle, demo_clip):
    pipeline = Pipeline(demo_bundle, max_frames=1000, max_pixels=10**7)  # without lanes: a watch sees its own thread
    with Watch() as watch:
        pipeline.run_video(demo_clip)
    assert not UNEQUAL & watch.seen.keys()
    # It has seen the networks of all three stages.
    assert watch.seen["aten::_nnpack_spatial_convolution"] > 1000
    assert watch.seen["aten::silu"] and watch.seen["aten::native_batch_norm"]


@pytest.mark.parametrize(
    "operation",
    [
        torch.sqrt,
        torch.rsqrt,
        torch.norm,
        torch.std,
        torch.linalg.vector_norm,
        lambda x: x**0.5,
        lambda x: x.sqrt_(),
        lambda x: torch.cdist(x, x),
        lambda x: torch.hypot(x, x),
    ],
)
def test_such_an_operation_would_be_found(operation):
    with torch.inference_mode(), Watch() as watch:
        operation(torch.ones(4, 4))
    assert UNEQUAL & watch.seen.keys()
