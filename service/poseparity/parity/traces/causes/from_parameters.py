"""Causes that the parameters of the stages tell."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from ....stages import base
from ....trace.model import CODE as CODE_PARAMETERS
from ....trace.reading import TraceFile
from ...result import Cause
from ..parameters import ParameterDifference
from ..stages import StageComparison
from . import certainty, transforms
from .catalogue import cause

# Another way to compute the same network: the one key of its table that is no part of the architecture.
_CONVOLUTION = "pose.network.convolution"
# Path of a parameter, STAGE.NAME, to the code of its cause; the first that matches.
_CODES = (
    ("detect.image_size", "detector-image-size"),
    ("detect.rect", "detector-image-size"),
    ("detect.confidence", "detector-confidence"),
    ("detect.iou", "detector-nms"),
    ("detect.sample_share", "sampling-share"),
    ("detect.architecture", "architecture"),
    ("crop.padding", "crop-padding"),
    ("crop.strategy", "crop-strategy"),
    ("crop.sample_share", "sampling-share"),
    ("pose.engine", "pose-engine"),
    ("pose.net_height", "pose-network-size"),
    ("pose.width_multiple", "pose-network-size"),
    ("pose.net_resolution", "pose-network-size"),
    ("pose.image_size", "pose-network-size"),
    ("pose.rect", "pose-network-size"),
    ("pose.scale_*", "pose-network-size"),
    ("pose.peak_threshold", "pose-nms"),
    ("pose.paf_*", "pose-thresholds"),
    ("pose.min_*", "pose-thresholds"),
    ("pose.maximize_positives", "pose-thresholds"),
    ("pose.number_people_max", "pose-persons"),
    ("pose.confidence", "pose-persons"),
    ("pose.iou", "pose-persons"),
    ("pose.keypoint_confidence", "pose-joints"),
    ("pose.follow", "pose-follow"),
    ("pose.version", "pose-program"),
    ("pose.executable_sha256", "pose-program"),
    (_CONVOLUTION, "pose-convolution"),
    ("pose.network.*", "architecture"),
    ("pose.architecture", "architecture"),
    ("trim.*", "trimming"),
    ("normalise.reference", "img-shape"),
    ("normalise.size", "reference-box"),
    ("normalise.padding", "reference-box"),
    ("normalise.coordinates", "coordinate-range"),
    ("normalise.confidence*", "keypoint-scores"),
    ("normalise.precision", "keypoint-precision"),
    ("normalise.joints", "graph-joints"),
    ("recognise.model.*", "architecture"),
)
# They say which other parameters there are; see tables.py and bundle.py.
_FORMS = ("crop.strategy", "pose.engine", "trim.method", "normalise.reference", "normalise.confidence")
_FIRST_PASS = "engine."


def causes_of(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    """A cause for each parameter of the stage that differs, unordered."""
    yield from _labels(stage, a, b)
    named = [(parameter_of(stage.name, each.path), each) for each in stage.parameters]
    if any(name in _FORMS for name, _ in named):
        # Without those that follow: another engine, or another strategy, has others, weights and code.
        named = [
            (name, each)
            for name, each in named
            if name in _FORMS
            or (_head(name) not in ("weights_sha256", "engine_code") and each.a is not None and each.b is not None)
        ]
    for name, difference in named:
        table, _, key = name.partition(".")
        special = _SPECIAL.get((table, key)) or _SPECIAL.get(("", key.partition(".")[0]))
        yield from (special or _plain)(stage, difference, a, b)


def parameter_of(stage: str, path: str) -> str:
    """A parameter's name in bundle.toml: the stage crop of strategy "two_pass" has those of the engine that it asks."""
    if stage == base.CROP.name and path.startswith(_FIRST_PASS):
        return f"{base.POSE.table}.{path.removeprefix(_FIRST_PASS)}"
    row = base.BY_NAME.get(stage)
    return f"{row.table if row and row.table else stage}.{path}"


def _head(parameter: str) -> str:
    """The first part of a parameter's name in its table."""
    return parameter.split(".")[1]


def _plain(stage: StageComparison, difference: ParameterDifference, _a: TraceFile, _b: TraceFile) -> Iterator[Cause]:
    path = parameter_of(stage.name, difference.path)
    code = next((code for pattern, code in _CODES if fnmatchcase(path, pattern)), "parameter")
    score = certainty.UNNAMED_PARAMETER if code == "parameter" else certainty.PARAMETER
    yield cause(code, score=score, stage=stage.name, parameter=path, a=difference.a, b=difference.b)


def _weights(stage: StageComparison, difference: ParameterDifference, _a: TraceFile, _b: TraceFile) -> Iterator[Cause]:
    names = {parameter_of(stage.name, each.path) for each in stage.parameters} - {_CONVOLUTION}
    heads = {_head(name) for name in names}
    table = parameter_of(stage.name, difference.path).partition(".")[0]
    row = base.BY_TABLE.get(table)
    yield cause(
        "weights",
        score=certainty.PARAMETER,
        stage=stage.name,
        weights=row.network if row and row.network else table,
        a=_short(difference.a),
        b=_short(difference.b),
        architecture="another one" if heads & {"network", "model", "architecture"} else "the same",
    )


def _interpolation(
    stage: StageComparison, difference: ParameterDifference, a: TraceFile, b: TraceFile
) -> Iterator[Cause]:
    if "none" not in (difference.a, difference.b):
        yield from _plain(stage, difference, a, b)
        return
    side = "A" if difference.a == "none" else "B"
    yield cause(
        "interpolation-off", score=certainty.PARAMETER, stage=stage.name, side=side, a=difference.a, b=difference.b
    )


def _trimming(stage: StageComparison, difference: ParameterDifference, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    sides = (("A", a, b, difference.a), ("B", b, a, difference.b))
    off = [name for name, one, other, value in sides if value == "none" or (keeps_all(one) and not keeps_all(other))]
    # Where both cut something, or neither does, it is only another value.
    if len(off) != 1:
        yield from _plain(stage, difference, a, b)
        return
    frames = _frames_of(a if off[0] == "A" else b, base.TRIM.name)
    values = {"parameter": f"{stage.name}.{difference.path}", "a": difference.a, "b": difference.b}
    yield cause("trimming-off", score=certainty.PARAMETER, stage=stage.name, side=off[0], frames=frames, **values)


def keeps_all(side: TraceFile) -> bool:
    """Whether the stage trim cut nothing."""
    given, kept = (_frames_of(side, row.name) for row in (base.INTERPOLATE, base.TRIM))
    return given is not None and given == kept


def _frames_of(side: TraceFile, name: str) -> int | None:
    """How many frames of joints a stage returns; None where a trace does not tell."""
    stage = side.trace.stage(name)
    value = stage and stage.value("keypoints")
    return value.shape[0] if value and value.shape else None


def _transforms(stage: StageComparison, difference: ParameterDifference, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    lists = difference.a, difference.b
    if all(isinstance(each, list) for each in lists):
        yield from transforms.causes_of_transforms(stage.name, *lists, score=certainty.PARAMETER)
    else:
        yield from _plain(stage, difference, a, b)


def _classes(stage: StageComparison, difference: ParameterDifference, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    first, second = (side.trace.stage(stage.name).parameters.get("transforms", []) for side in (a, b))
    yield from transforms.causes_of_classes(stage, difference, (first, second), score=certainty.PARAMETER)


def _code(stage: StageComparison, difference: ParameterDifference, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    versions = {"version_a": a.trace.poseparity, "version_b": b.trace.poseparity}
    key = difference.path.partition(".")[0]
    source = f"{key}.sha256"
    # A module and its digest differ together: that is one cause.
    if difference.path == source or not any(each.path == source for each in stage.parameters):
        codes = [side.trace.stage(stage.name).parameters.get(key) for side in (a, b)]
        module = next((code.get("module") for code in codes if isinstance(code, dict)), stage.name)
        shown = {"a": _short(difference.a), "b": _short(difference.b)}
        yield cause("stage-code", score=certainty.STAGE_CODE, stage=stage.name, module=module, **shown, **versions)


def _flags(stage: StageComparison, difference: ParameterDifference, _a: TraceFile, _b: TraceFile) -> Iterator[Cause]:
    """Told only where no parameter that flags are made of tells of it."""
    others = {_head(parameter_of(stage.name, each.path)) for each in stage.parameters} - {"flags", *CODE_PARAMETERS}
    if not others:
        mine, theirs = (each if isinstance(each, list) else [] for each in (difference.a, difference.b))
        only = [[flag for flag in flags if flag not in other] for flags, other in ((mine, theirs), (theirs, mine))]
        shown = only if any(only) else (mine, theirs)  # the same in another order
        yield cause("pose-flags", score=certainty.PARAMETER, stage=stage.name, a=shown[0], b=shown[1])


def _labels(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    if any(value.name == "labels" and value.state == "diverged" for value in stage.values):
        mine, theirs = ([score.label for score in side.trace.prediction.scores] for side in (a, b))
        code = "labels-order" if sorted(mine) == sorted(theirs) else "labels"
        yield cause(code, score=certainty.PARAMETER, stage=stage.name, a=mine, b=theirs)


def _short(digest: object) -> str:
    return str(digest)[:12] if digest is not None else "absent"


# (stage, path), or for every stage the path's first part, to what tells of it.
_SPECIAL = {
    (base.INTERPOLATE.table, "method"): _interpolation,
    (base.TRIM.table, "method"): _trimming,
    (base.TRIM.table, "threshold"): _trimming,
    (base.TRIM.table, "margin"): _trimming,
    (base.TRIM.table, "min_frames"): _trimming,
    (base.NORMALISE.table, "transforms"): _transforms,
    (base.NORMALISE.table, "transform_classes"): _classes,
    (base.RECOGNISE.table, "labels"): lambda *_: iter(()),  # `_labels` tells of it
    (base.POSE.table, "model_sha256"): _weights,
    (base.POSE.table, "flags"): _flags,
    ("", "weights_sha256"): _weights,
    **{("", name): _code for name in CODE_PARAMETERS},
}
