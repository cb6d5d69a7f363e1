"""Convolutions in NNPACK, which is in torch's wheel: `[pose.network] convolution = "fast"`.

oneDNN computes a convolution as it is defined, at the limit of what the instructions that the pins allow can do: only
fewer multiplications help. NNPACK multiplies transformed tiles: Winograd's F(6x6, 3x3) for kernels of 3x3 (Lavin and
Gray, "Fast Algorithms for Convolutional Neural Networks"), Fourier transforms of 16x16 for those of 7x7. Sums in
another order are other bits, and a bundle of one convolution is another bundle than one of the other.

NNPACK cuts the sums over input channels into blocks whose operands fit the L1 cache that the CPU says a thread has
(`compute_fast_convolution_inference` in github.com/Maratyszcza/NNPACK, src/convolution-inference.c):

    channels in a block = L1 / bytes of a tuple / (tiles + output channels of an inner step), rounded down to even
    Fourier:  16 KiB / (16 * 4) / (2 + 2) = 64        Winograd:  16 KiB / (8 * 4) / (3 + 4) = 72

So its bits would depend on the machine, 16 KiB being 32 KiB that two hardware threads share. It has no option for
that: `pin_nnpack` writes the size into the table that NNPACK reads it from. L2 and L3 decide only what is computed
before what, not what is added to what.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from torch.nn.functional import pad

from ...bundle.tables import DIRECT, Convolution
from ...errors import EngineError

Then = Callable[[torch.Tensor], torch.Tensor]
# The least that a current CPU has for a thread; of 16, 32, 48 and 64 KiB it is the fastest or equal to it, too.
_L1 = 16 * 1024
# Rows and columns of outputs of a tile, by the kernel's size.
_TILES = {3: 6, 7: 10}
# Tiles that are computed at a time. NNPACK keeps their transforms in memory for each thread that has called it: with a
# picture of 368x368 in one piece that is 127 MB a thread, like this it is 19.
_TILES_AT_ONCE = 128
_FIX = (
    'use a bundle with convolution = "direct" under [pose.network] (an import makes it with '
    "--set pose.network.convolution=direct); its numbers, and so its golden traces, are others"
)


class NetworkParameters(BaseModel):
    """What the `[pose.network]` tables of all kinds have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    convolution: Convolution = Field(DIRECT, description="Who computes convolutions: oneDNN, or NNPACK where it can.")


class FastConv2d(nn.Module):
    """A convolution of stride 1 that keeps the size, in NNPACK. Any number of threads may call it at once.

    Args:
        convolution: one that it `takes`, whose weights it computes with; `pin_nnpack` was called.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self._padding = convolution.padding[0]
        self._tile = _TILES[convolution.kernel_size[0]]

    @staticmethod
    def takes(module: nn.Module) -> bool:
        """Whether a module is a convolution that NNPACK computes faster than oneDNN does."""
        return isinstance(module, nn.Conv2d) and any(
            (module.kernel_size, module.stride, module.padding) == ((size, size), (1, 1), (size // 2, size // 2))
            for size in _TILES
        )

    def forward(self, x: torch.Tensor, then: Then = lambda band: band) -> torch.Tensor:
        """(1, channels_in, h, w) to (1, channels_out, h, w), float32, or to what `then` makes of that.

        Bands of whole tiles, so that each tile sees what it would see in one piece: cutting changes no bits.

        Args:
            then: given each band, while it is in the CPU's cache. It must not look further than at squares of 2x2; it
                may return one value for each.
        """
        if x.shape[0] != 1:
            raise ValueError(f"`x` has shape {tuple(x.shape)}, expected one picture: NNPACK takes another way for more")
        height, width = x.shape[2:]
        rows = max(1, _TILES_AT_ONCE // -(-width // self._tile)) * self._tile
        if height <= rows:
            return then(self._convolved(x, self._padding))
        output = None
        for top in range(0, height, rows):
            first, last = top - self._padding, min(top + rows, height) + self._padding
            band = pad(x[:, :, max(first, 0) : last], (0, 0, max(-first, 0), max(last - height, 0)))
            band = then(self._convolved(band, 0))
            if output is None:
                shrunk = rows // band.shape[2]
                output = band.new_empty(*band.shape[:2], height // shrunk, band.shape[3])
            output[:, :, top // shrunk : (top + rows) // shrunk] = band
        return output

    def _convolved(self, x: torch.Tensor, above_and_below: int) -> torch.Tensor:
        """With so many rows of zeros above and below."""
        padding = (above_and_below, self._padding)
        return torch._nnpack_spatial_convolution(x, self.weight, self.bias, padding)


def convolved(convolution: nn.Module, x: torch.Tensor, then: Then) -> torch.Tensor:
    """`then` of what a convolution answers, which saves memory where that is computed in bands."""
    return convolution(x, then) if isinstance(convolution, FastConv2d) else then(convolution(x))


def use_nnpack(network: nn.Module) -> None:
    """Put a `FastConv2d` with the same weights in the place of each convolution of the network that NNPACK takes.

    Raises:
        EngineError: see `pin_nnpack`.
    """
    pin_nnpack()
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if FastConv2d.takes(child):
                setattr(parent, name, FastConv2d(child))


# --- the pin ---------------------------------------------------------------------------------------------------------


class _Cache(ctypes.Structure):
    """`struct cache_info` of NNPACK's include/nnpack/hwinfo.h."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("associativity", ctypes.c_uint32),
        ("threads", ctypes.c_uint32),
        ("inclusive", ctypes.c_bool),
    )


class HardwareInfo(ctypes.Structure):
    """The first members of `struct hardware_info`, of which NNPACK has one, the variable nnp_hwinfo."""

    _fields_ = (
        ("initialized", ctypes.c_bool),
        ("supported", ctypes.c_bool),
        ("simd_width", ctypes.c_uint32),
        ("caches", _Cache * 4),
        ("blocking", ctypes.c_size_t * 4),  # bytes of L1 to L4 for which it cuts
    )


def pin_nnpack() -> None:
    """Make NNPACK cut sums as if every CPU had 16 KiB of L1 a thread, and prove that it does.

    Called once or often, before threads share what uses it: NNPACK's first call is not safe among threads.

    Raises:
        EngineError: torch has no NNPACK for this processor, or another one than the one that this was written for.
    """
    if not torch.backends.nnpack.is_available():  # it also initialises NNPACK, which answers nothing before
        raise EngineError(
            'pose.network.convolution is "fast", expected a torch with NNPACK and a processor that it runs on, '
            f"found torch {torch.__version__} on {platform.machine()} without",
            fix=_FIX,
        )
    info = hardware_info()
    if info is not None:
        info.blocking[0] = _L1
    if not _cuts_before(64) or _cuts_before(32):
        raise EngineError(
            'pose.network.convolution is "fast", and the NNPACK of torch '
            f"{torch.__version__} cuts its sums by this processor's cache: expected blocks of 64 channels",
            fix=f"install the locked torch, or {_FIX}",
        )


def hardware_info() -> HardwareInfo | None:
    """NNPACK's own table, to be written to; None where torch's library has none, or one of another form."""
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        info = HardwareInfo.in_dll(ctypes.CDLL(str(library)), "nnp_hwinfo")
    except (OSError, ValueError):
        return None
    l1 = info.caches[0]
    found = (info.initialized, info.supported, info.simd_width, info.blocking[0])
    expected = (True, True, 8, l1.size // max(1, l1.threads))
    return info if found in (expected, (*expected[:3], _L1)) else None


def _cuts_before(channel: int) -> bool:
    """Whether NNPACK begins a new sum with this input channel of a 7x7 kernel, told by what it answers.

    The channel is large, and the next one takes it away again. Rounding then swallows what was added up before in the
    same sum; what stands in a sum of its own shows.
    """
    size = 24  # of the picture: enough for the tiles of 16x16
    kernel = torch.zeros(2, channel + 2, 7, 7)
    kernel[:, :, 3, 3] = 1
    answers = []
    for before in (0.0, 1.0):
        picture = torch.zeros(1, channel + 2, size, size)
        picture[0, channel - 1 :] = torch.tensor([before, 2.0**60, -(2.0**60)])[:, None, None]
        with torch.inference_mode():
            answers.append(torch._nnpack_spatial_convolution(picture, kernel, None, 3))
    return not torch.equal(*answers)
