"""Causes that the parameters of the stages tell."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from ..parameters import ParameterDifference
from ..result import Cause
from ..stages import StageComparison
from ..trace_file import TraceFile
from .catalogue import cause, show

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
    ("pose.engine", "pose-engine"),
    ("pose.net_height", "pose-network-size"),
    ("pose.width_multiple", "pose-network-size"),
    ("pose.peak_threshold", "pose-nms"),
    ("pose.paf_*", "pose-thresholds"),
    ("pose.min_*", "pose-thresholds"),
    ("pose.follow", "pose-follow"),
    ("pose.network.*", "architecture"),
    ("trim.*", "trimming"),
    ("normalise.reference", "img-shape"),
    ("recognise.model.*", "architecture"),
)
SURE, LIKELY, CODE = 0.95, 0.9, 0.7
_PRENORMALISE = "PreNormalize2D"
_WEIGHTS = {"detect": "the detector", "pose": "the pose network", "recognise": "the recogniser"}


def causes_of(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    """A cause for each parameter of the stage that differs, unordered."""
    yield from _labels(stage, a, b)
    for difference in stage.parameters:
        special = _SPECIAL.get((stage.name, difference.path)) or _SPECIAL.get(("", difference.path.partition(".")[0]))
        yield from (special or _plain)(stage, difference, a, b)


def _plain(stage: StageComparison, difference: ParameterDifference, _a: TraceFile, _b: TraceFile) -> Iterator[Cause]:
    path = f"{stage.name}.{difference.path}"
    code = next((code for pattern, code in _CODES if fnmatchcase(path, pattern)), "parameter")
    score = LIKELY if code == "parameter" else SURE
    yield cause(code, score=score, stage=stage.name, parameter=path, a=difference.a, b=difference.b)


def _weights(stage: StageComparison, difference: ParameterDifference, _a: TraceFile, _b: TraceFile) -> Iterator[Cause]:
    same = not any(each.path.startswith(("network", "model", "architecture")) for each in stage.parameters)
    yield cause(
        "weights",
        score=SURE,
        stage=stage.name,
        weights=_WEIGHTS.get(stage.name, stage.name),
        a=_short(difference.a),
        b=_short(difference.b),
        architecture="the same" if same else "another one",
    )


def _interpolation(
    stage: StageComparison, difference: ParameterDifference, a: TraceFile, b: TraceFile
) -> Iterator[Cause]:
    if "none" not in (difference.a, difference.b):
        yield from _plain(stage, difference, a, b)
        return
    side = "A" if difference.a == "none" else "B"
    yield cause("interpolation-off", score=SURE, stage=stage.name, side=side, a=difference.a, b=difference.b)


def _trimming(stage: StageComparison, difference: ParameterDifference, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    side = next(
        (name for name, one, other in (("A", a, b), ("B", b, a)) if keeps_all(one) and not keeps_all(other)), ""
    )
    if not side:
        yield from _plain(stage, difference, a, b)
        return
    parameter = f"{stage.name}.{difference.path}"
    frames = (a if side == "A" else b).trace.stage("trim").value("keypoints").shape[0]
    values = {"parameter": parameter, "a": difference.a, "b": difference.b}
    yield cause("trimming-off", score=SURE, stage=stage.name, side=side, frames=frames, **values)


def keeps_all(side: TraceFile) -> bool:
    """Whether the stage trim cut nothing."""
    counts = []
    for name in ("interpolate", "trim"):
        stage = side.trace.stage(name)
        value = stage and stage.value("keypoints")
        counts.append(value.shape[0] if value and value.shape else None)
    return counts[0] is not None and counts[0] == counts[1]


def _transforms(
    stage: StageComparison, difference: ParameterDifference, _a: TraceFile, _b: TraceFile
) -> Iterator[Cause]:
    names = {"A": _types(difference.a), "B": _types(difference.b)}
    without = [side for side, types in names.items() if _PRENORMALISE not in types]
    if len(without) == 1:
        yield cause("prenormalise-off", score=SURE, stage=stage.name, side=without[0], a=names["A"], b=names["B"])
        return
    shown = (names["A"], names["B"]) if names["A"] != names["B"] else (difference.a, difference.b)
    yield cause("transforms", score=SURE, stage=stage.name, a=shown[0], b=shown[1])


def _classes(stage: StageComparison, difference: ParameterDifference, _a: TraceFile, _b: TraceFile) -> Iterator[Cause]:
    """Told only where the lists of transforms are the same: otherwise their classes differ for that reason."""
    if any(each.path == "transforms" for each in stage.parameters) or not _same_length(difference):
        return
    for mine, theirs in zip(difference.a, difference.b, strict=True):
        if mine != theirs:
            a, b = _classes_in_words(mine, theirs)
            name = mine.get("name") if isinstance(mine, dict) else mine
            yield cause("transform-replaced", score=SURE, stage=stage.name, name=name, a=a, b=b)


def _code(stage: StageComparison, difference: ParameterDifference, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    versions = {"version_a": a.trace.poseparity, "version_b": b.trace.poseparity}
    if difference.path == "code.sha256" or not any(each.path == "code.sha256" for each in stage.parameters):
        codes = [side.trace.stage(stage.name).parameters.get("code") for side in (a, b)]
        module = next((code.get("module") for code in codes if isinstance(code, dict)), stage.name)
        shown = {"a": _short(difference.a), "b": _short(difference.b)}
        yield cause("stage-code", score=CODE, stage=stage.name, module=module, **shown, **versions)


def _labels(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    if any(value.name == "labels" and value.state == "diverged" for value in stage.values):
        mine, theirs = ([score.label for score in side.trace.prediction.scores] for side in (a, b))
        code = "labels-order" if sorted(mine) == sorted(theirs) else "labels"
        yield cause(code, score=SURE, stage=stage.name, a=mine, b=theirs)


def _nothing(*_: object) -> Iterator[Cause]:
    """For a parameter that `_labels` tells of."""
    yield from ()


def _types(transforms: object) -> list[str]:
    listed = transforms if isinstance(transforms, list) else []
    return [str(each.get("type")) for each in listed if isinstance(each, dict)]


def _same_length(difference: ParameterDifference) -> bool:
    lists = (difference.a, difference.b)
    return all(isinstance(each, list) for each in lists) and len(difference.a) == len(difference.b)


def _classes_in_words(mine: object, theirs: object) -> tuple[str, str]:
    """Where two classes come from; where that is the same, the digests of their sources."""
    names = [
        f"{each.get('module')}.{each.get('name')}" if isinstance(each, dict) else show(each) for each in (mine, theirs)
    ]
    if names[0] != names[1]:
        return names[0], names[1]
    sources = [_short(each.get("sha256")) if isinstance(each, dict) else "unknown" for each in (mine, theirs)]
    return f"{names[0]}, source {sources[0]}", f"source {sources[1]}"


def _short(digest: object) -> str:
    return str(digest)[:12] if digest is not None else "absent"


# (stage, path), or for every stage the path's first part, to what tells of it.
_SPECIAL = {
    ("interpolate", "method"): _interpolation,
    ("trim", "threshold"): _trimming,
    ("trim", "margin"): _trimming,
    ("trim", "min_frames"): _trimming,
    ("normalise", "transforms"): _transforms,
    ("normalise", "transform_classes"): _classes,
    ("recognise", "labels"): _nothing,
    ("", "weights_sha256"): _weights,
    ("", "code"): _code,
}
