"""Weights in the modules that they belong to: nothing is made until it is known that both fit, and what both cost.

A few words in a bundle can ask for a network that no machine holds. So each module is first made without memory: its
parameters have names and shapes and no values. Only if the weights of the bundle have the same is it made.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch.overrides import TorchFunctionMode

from ..errors import BundleError

# What making a module raises, in the libraries and in torch, when its arguments are none.
BUILD_ERRORS = (
    TypeError, ValueError, LookupError, AttributeError, AssertionError, NameError, RuntimeError, ArithmeticError,
)  # fmt: skip
_FIX = "use the weights that were made for this architecture"
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_DTYPES = _FLOATS | {torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool}
_MAX_PARTS = 5000  # parameters and buffers; yolov9e has 2,200


class WithoutMemory(TorchFunctionMode):
    """Tensors that are made inside have a shape and no values. Small constants, such as a graph's, keep theirs.

    Whatever is imported for the first time inside has constants without values from then on: import it before.
    """

    _MADE = frozenset({torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn})

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = {**(kwargs or {})}
        if function in self._MADE:
            kwargs["device"] = "meta"
        return function(*args, **kwargs)


def loaded(build: Callable[[], torch.nn.Module], state: dict[str, torch.Tensor], path: Path) -> torch.nn.Module:
    """The module that `build` makes, with the weights of `path` in it.

    Raises:
        BundleError: weights and module do not fit, see `check_state`.
    """
    with WithoutMemory():
        check_state(build(), state, path)
    module = build()
    module.load_state_dict(state)
    return module


def check_state(module: torch.nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    """Hold weights to a torch module: every name, shape and kind of number must fit, and every value be finite.

    Raises:
        BundleError: names that lack or do not belong, a shape or kind that differs, or a value that is no number; the
            first of each is named.
    """
    wanted = module.state_dict()
    if len(wanted) > _MAX_PARTS:
        raise BundleError(f"the model of {path.name} has {len(wanted)} parameters, more than {_MAX_PARTS}", fix=_FIX)
    problems = [
        *(f"{name} is missing" for name in wanted.keys() - state.keys()),
        *(f"{name} does not belong to the model" for name in state.keys() - wanted.keys()),
        *filter(None, (_misfit(name, wanted[name], state[name]) for name in wanted.keys() & state.keys())),
    ]
    if problems:
        # Sorted, because sets are not: the same file gives the same message.
        raise BundleError(
            f"{path.name} does not fit its model: {sorted(problems)[0]:.200} ({len(problems)} such)", fix=_FIX
        )
    for name in wanted:  # in the order of the model: the first is the one to look at
        values = state[name]
        if values.dtype in _FLOATS and not torch.isfinite(values).all():
            raise BundleError(
                f"{path.name} has values in {name} that are infinite or no number (NaN)",
                fix="take a checkpoint from before training diverged: this one gives no scores",
            )


def _misfit(name: str, wanted: torch.Tensor, found: torch.Tensor) -> str | None:
    if found.shape != wanted.shape:
        return f"{name} has shape {tuple(found.shape)}, expected {tuple(wanted.shape)}"
    if found.dtype not in _DTYPES or found.is_floating_point() != wanted.is_floating_point():
        return f"{name} has the type {str(found.dtype)[6:]}, expected {str(wanted.dtype)[6:]}"
    return None
