"""What an architecture of ultralytics may hold: a closed list of keys, of layers, and of the arguments of each.

An architecture is a program of sorts: ultralytics looks its layers up by name, reads text among their arguments as
Python, and evaluates its activation; one of its "layers" takes an architecture of its own. So nothing that is not on
this list reaches it. The layers are those of the architectures for detection and poses that ultralytics ships, from
yolov3 to yolo26 (a test derives them), and the numbers are at most a few times as large as any of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ..bundle.plain_files import shown
from ..errors import BundleError

Task = Literal["detect", "pose"]
Check = Callable[[Any], bool]

FIX = (
    "use an architecture of this version of ultralytics, for detection or poses: layers and arguments of its own alone"
)
_MAX_LAYERS, _MAX_REPEATS = 150, 30
_MAX_BLOCKS = 200  # repeats of all layers together; yolov6x, the deepest, has 99


# --- values ----------------------------------------------------------------------------------------------------------


def _whole(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _number(low: float, high: float) -> Check:
    return lambda value: type(value) in (int, float) and low <= value <= high


def _one_of(*values: Any) -> Check:
    return lambda value: any(type(value) is type(each) and value == each for each in values)


def _list_of(check: Check, low: int, high: int) -> Check:
    return lambda value: type(value) is list and low <= len(value) <= high and all(map(check, value))


def _either(*checks: Check) -> Check:
    return lambda value: any(check(value) for check in checks)


_FLAG = _one_of(True, False)
_CHANNELS = _whole(1, 4096)
_KERNEL = _whole(1, 15)
_STRIDE = _whole(1, 4)
_PAD = _whole(0, 8)
_COUNT = _whole(1, 8)
_RATIO = _number(0.05, 4)
_CLASSES = _whole(1, 10**4)
_NC = _either(_one_of("nc"), _CLASSES)
_KEYPOINTS = lambda value: _list_of(_whole(2, 1000), 2, 2)(value) and value[1] in (2, 3)  # noqa: E731
_KPT_SHAPE = _either(_one_of("kpt_shape"), _KEYPOINTS)
_SCALE = _one_of(*"ntsmbclex")
_SIZES = lambda value: (  # noqa: E731, depth and width multiple, most channels
    type(value) is list and len(value) == 3 and _RATIO(value[0]) and _RATIO(value[1]) and _CHANNELS(value[2])
)


# --- the lists -------------------------------------------------------------------------------------------------------

# Arguments by position; those at the end may be left out.
LAYERS: dict[str, tuple[Check, ...]] = {
    "A2C2f": (_CHANNELS, _FLAG, _one_of(-1, 1, 2, 4)),
    "AConv": (_CHANNELS,),
    "ADown": (_CHANNELS,),
    "Bottleneck": (_CHANNELS, _FLAG),
    "C2": (_CHANNELS, _FLAG),
    "C2PSA": (_CHANNELS,),
    "C2f": (_CHANNELS, _FLAG),
    "C2fCIB": (_CHANNELS, _FLAG, _FLAG),
    "C3": (_CHANNELS, _FLAG),
    "C3Ghost": (_CHANNELS, _FLAG),
    "C3k2": (_CHANNELS, _FLAG, _RATIO, _FLAG),
    "CBFuse": (_list_of(_whole(0, 10), 1, 10),),
    "CBLinear": (_list_of(_CHANNELS, 1, 10),),
    "Concat": (_one_of(1),),
    "Conv": (_CHANNELS, _KERNEL, _STRIDE, _either(_one_of(None), _PAD)),
    "ELAN1": (_CHANNELS, _CHANNELS, _CHANNELS),
    "GhostConv": (_CHANNELS, _KERNEL, _STRIDE),
    "PSA": (_CHANNELS,),
    "RepNCSPELAN4": (_CHANNELS, _CHANNELS, _CHANNELS, _COUNT),
    "SCDown": (_CHANNELS, _KERNEL, _STRIDE),
    "SPP": (_CHANNELS, _list_of(_KERNEL, 1, 5)),
    "SPPELAN": (_CHANNELS, _CHANNELS),
    "SPPF": (_CHANNELS, _KERNEL, _COUNT, _FLAG),
    "Silence": (),  # what nn.Identity was called in yolov9's first files; ultralytics reads it as that
    "nn.ConvTranspose2d": (_CHANNELS, _KERNEL, _STRIDE, _PAD),
    "nn.Identity": (),
    "nn.MaxPool2d": (_KERNEL, _STRIDE, _PAD),
    "nn.Upsample": (_one_of(None, "None"), _one_of(2), _one_of("nearest")),
    "nn.ZeroPad2d": (_list_of(_PAD, 4, 4),),
}
HEADS: dict[Task, dict[str, tuple[Check, ...]]] = {
    "detect": {"Detect": (_NC,), "v10Detect": (_NC,)},
    "pose": {"Pose": (_NC, _KPT_SHAPE), "Pose26": (_NC, _KPT_SHAPE)},
}
_HEAD_KINDS = {name for heads in HEADS.values() for name in heads}
# ultralytics evaluates it, as Python.
ACTIVATIONS = tuple(
    f"{package}nn.{call}"
    for package in ("", "torch.")
    for call in (
        "SiLU()", "ReLU()", "ReLU6()", "LeakyReLU()", "LeakyReLU(0.1)", "Hardswish()", "GELU()", "ELU()", "Mish()",
        "Identity()", "PReLU()", "SiLU(inplace=True)", "ReLU(inplace=True)",
    )
)  # fmt: skip
KEYS: dict[str, Check] = {
    "nc": _CLASSES,
    "scale": _either(_SCALE, _one_of("")),
    "scales": lambda value: type(value) is dict and 1 <= len(value) <= 9 and all(map(_SCALE, value))
    and all(map(_SIZES, value.values())),
    "depth_multiple": _RATIO,
    "width_multiple": _RATIO,
    "max_channels": _CHANNELS,
    "activation": _either(_one_of(None), _one_of(*ACTIVATIONS)),
    "kpt_shape": _KEYPOINTS,
    "end2end": _either(_one_of(None), _FLAG),
    "reg_max": _whole(1, 64),
    "channels": _one_of(3),
    "ch": _one_of(3),
    "inplace": _FLAG,
    "backbone": lambda value: type(value) is list and 1 <= len(value) <= _MAX_LAYERS,
    "head": lambda value: type(value) is list and len(value) <= _MAX_LAYERS,
}  # fmt: skip


# --- the check -------------------------------------------------------------------------------------------------------


def check_architecture(architecture: Any, task: Task) -> None:
    """Hold an architecture to the lists.

    Raises:
        BundleError: the first key, layer or argument that is not on them is named.
    """
    if type(architecture) is not dict or not {"nc", "backbone", "head"} <= architecture.keys():
        raise BundleError(f"the architecture is {shown(architecture)}, expected nc, backbone and head", fix=FIX)
    for key, value in architecture.items():
        if not isinstance(key, str) or key not in KEYS or not KEYS[key](value):
            raise BundleError(f"the architecture's {shown(key).strip(chr(39))} is {shown(value)}", fix=FIX)
    layers = [*architecture["backbone"], *architecture["head"]]
    for position, layer in enumerate(layers):
        heads = HEADS[task] if position == len(layers) - 1 else {}
        _check_layer(layer, position, LAYERS | heads)
    if layers[-1][2] not in HEADS[task]:
        expected = " or ".join(HEADS[task])
        raise BundleError(f"the architecture ends with {layers[-1][2]}, expected {expected}", fix=FIX)
    if (blocks := sum(_repeats(layer, architecture) for layer in layers)) > _MAX_BLOCKS:
        raise BundleError(f"the architecture repeats its layers {blocks} times, more than {_MAX_BLOCKS}", fix=FIX)


def _check_layer(layer: Any, position: int, known: dict[str, tuple[Check, ...]]) -> None:
    row = layer if type(layer) is list and len(layer) == 4 else [None] * 4
    source, repeats, name, arguments = row
    right = (
        type(name) is str
        and name in known
        and _source(position, name)(source)
        and _whole(1, _MAX_REPEATS)(repeats)
        and type(arguments) is list
        and len(arguments) <= len(known[name])
        and all(check(value) for check, value in zip(known[name], arguments, strict=False))
    )
    if not right:
        raise BundleError(f"the architecture has the layer {shown(layer)} at {position}", fix=FIX)


def _source(position: int, name: str) -> Check:
    """Where a layer takes its input from: layers before it, by number, or counted back from it."""
    one = _whole(-max(1, position), max(0, position - 1))
    if name in _HEAD_KINDS or name in ("Concat", "CBFuse"):
        return _list_of(one, 1, 10)
    return one


def _repeats(layer: list, architecture: dict) -> int:
    """As often as ultralytics makes it, once its own depth is counted in."""
    _, repeats, name, arguments = layer
    sizes = architecture.get("scales", {}).values()
    depth = max([architecture.get("depth_multiple", 1), *(size[0] for size in sizes)])
    inside = arguments[3] if name == "RepNCSPELAN4" and len(arguments) > 3 else 1
    return max(1, round(repeats * depth)) * inside
