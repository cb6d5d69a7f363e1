"""NNPACK's convolutions in the pose network: oneDNN's numbers to rounding, and bits that no cache decides."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.nn.functional import max_pool2d

from poseparity.engines.openpose import coco, convolution
from poseparity.engines.openpose.convolution import FastConv2d, pin_nnpack, use_nnpack
from poseparity.engines.openpose.network import build_network
from poseparity.errors import BundleError, EngineError

SMALL = {"kind": "small", "stem": [4, 6], "width": 80, "depth": 2, "refinements": 1, "refinement_depth": 2}
KIB = 1024


@pytest.fixture(autouse=True)
def pinned() -> Iterator[None]:
    """NNPACK is one for the whole process: it is as the program wants it before and after."""
    pin_nnpack()
    info = convolution.hardware_info()
    size = info.caches[0].size
    yield
    info.caches[0].size = info.blocking[0] = size
    pin_nnpack()


def made(kernel: int, channels_in: int, channels_out: int = 8) -> nn.Conv2d:
    torch.manual_seed(kernel * channels_in)
    return nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2).requires_grad_(False)


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(1, *shape, generator=torch.Generator().manual_seed(1)) - 0.5


@pytest.mark.parametrize("channels", [3, 64, 185])
@pytest.mark.parametrize("kernel", [3, 7])
@pytest.mark.parametrize("size", [(5, 5), (23, 16), (46, 41)])
def test_it_computes_what_onednn_computes(kernel, channels, size):
    conv, x = made(kernel, channels), picture(channels, *size)
    with torch.inference_mode():
        expected = conv(x)
        # 2e-6 in the Fourier domain; Winograd's transforms have larger factors.
        torch.testing.assert_close(FastConv2d(conv)(x), expected, rtol=0, atol=1e-5)
    assert expected.abs().max() > 0.1


@pytest.mark.parametrize("kernel", [3, 7])
def test_bands_have_the_bits_of_one_piece(kernel, monkeypatch):
    conv, x = made(kernel, 70), picture(70, 65, 34)
    fast = FastConv2d(conv)
    whole = fast(x)
    for tiles in (1, 6, 20):  # less than one row of tiles, one, and more
        monkeypatch.setattr(convolution, "_TILES_AT_ONCE", tiles)
        assert torch.equal(fast(x), whole)
        assert torch.equal(fast(x[:, :, :-1], coco._relu_and_halved), coco._relu_and_halved(fast(x[:, :, :-1])))


@pytest.mark.parametrize("kernel", [3, 7])
def test_threads_that_share_a_network_get_its_bits(kernel):
    fast, pictures = FastConv2d(made(kernel, 80)), [picture(80, 20 + size, 30) for size in range(24)]
    expected = [fast(x) for x in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert all(map(torch.equal, pool.map(fast, pictures), expected))


# --- the L1 cache ----------------------------------------------------------------------------------------------------

L1_SIZES = [16, 20, 24, 32, 48, 64]  # KiB a thread


def as_on_a_cpu_with(l1: int) -> None:
    """NNPACK's table as it would be there, with KiB a thread; the pin is off."""
    info = convolution.hardware_info()
    info.caches[0].size = info.blocking[0] = l1 * KIB


@pytest.mark.parametrize("kernel", [3, 7])
def test_no_cache_decides_its_bits(kernel):
    """Left alone, NNPACK has other bits on processors with other caches: else the first line would show nothing."""
    network, x = nn.Sequential(made(kernel, 160)), picture(160, 13, 13)
    with_pin, without = set(), set()
    for l1 in L1_SIZES:
        as_on_a_cpu_with(l1)
        without.add(FastConv2d(network[0])(x).numpy().tobytes())
        fast = nn.Sequential(*network)
        use_nnpack(fast)
        with_pin.add(fast(x).numpy().tobytes())
    assert len(with_pin) == 1
    assert len(without) >= 4


def test_a_cut_at_another_channel_shows_in_the_proof():
    found = {}
    for l1 in (8, 12, *L1_SIZES):
        as_on_a_cpu_with(l1)
        found[l1] = convolution._cuts_before(64) and not convolution._cuts_before(32)
    assert {l1 for l1, proven in found.items() if proven} == {16}


# --- where it is not there -------------------------------------------------------------------------------------------


def test_without_nnpack_the_engine_says_so_when_it_is_made(monkeypatch):
    monkeypatch.setattr(torch.backends.nnpack, "is_available", lambda: False)
    with pytest.raises(EngineError, match=r'convolution is "fast", expected a torch with NNPACK') as error:
        use_nnpack(build_network(SMALL))
    assert 'convolution = "direct"' in error.value.fix and "golden traces" in error.value.fix


def test_an_nnpack_that_cannot_be_pinned_is_refused(monkeypatch):
    as_on_a_cpu_with(32)
    monkeypatch.setattr(convolution, "hardware_info", lambda: None)
    with pytest.raises(EngineError, match="cuts its sums by this processor's cache") as error:
        pin_nnpack()
    assert "locked torch" in error.value.fix


def test_a_table_of_another_form_is_not_written_to():
    info = convolution.hardware_info()
    info.simd_width = 16
    try:
        assert convolution.hardware_info() is None
    finally:
        info.simd_width = 8
    assert convolution.hardware_info().blocking[0] == 16 * KIB


# --- in the networks -------------------------------------------------------------------------------------------------


def test_those_of_stride_1_go_to_nnpack_and_the_others_stay():
    network = build_network(SMALL)
    use_nnpack(network)
    left = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert {(conv.kernel_size[0], conv.stride[0]) for conv in left} == {(3, 2), (1, 1)}
    assert sum(isinstance(module, FastConv2d) for module in network.modules()) == 5


def test_a_network_keeps_its_weights_and_its_numbers():
    torch.manual_seed(0)
    network, x = build_network(SMALL).eval(), picture(3, 64, 48)
    with torch.inference_mode():
        direct = network(x)
        state = {name: value.data_ptr() for name, value in network.state_dict().items()}
        use_nnpack(network)
        assert {name: value.data_ptr() for name, value in network.state_dict().items()} == state
        torch.testing.assert_close(network(x), direct, rtol=0, atol=1e-5)


@pytest.mark.parametrize("table", [{"kind": "coco"}, SMALL], ids=["coco", "small"])
def test_a_table_that_does_not_name_its_convolution_has_the_direct_one(table):
    with torch.device("meta"):
        assert build_network(table).convolution == "direct"
        assert build_network({**table, "convolution": "fast"}).convolution == "fast"
    with pytest.raises(BundleError, match=r"pose\.network\.convolution: .*'direct' or 'fast', found 'quick'"):
        build_network({**table, "convolution": "quick"})


def test_several_pictures_at_once_are_refused():
    with pytest.raises(ValueError, match="expected one picture"):
        FastConv2d(made(3, 4))(torch.zeros(2, 4, 9, 9))


def test_halving_has_the_bits_of_max_pool2d():
    x = picture(16, 92, 46)
    assert coco._relu_and_halved(x).numpy().tobytes() == max_pool2d(torch.relu(x), 2).numpy().tobytes()
