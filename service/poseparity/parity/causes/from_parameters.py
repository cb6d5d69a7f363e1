"""Causes that the parameters of the stages tell."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from ...trace.model import CODE as CODE_PARAMETERS
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
    ("pose.network.*", "architecture"),
    ("pose.architecture", "architecture"),
    ("trim.*", "trimming"),
    ("normalise.reference", "img-shape"),
    ("recognise.model.*", "architecture"),
)
SURE, LIKELY, CODE = 0.95, 0.9, 0.7
_PRENORMALISE = "PreNormalize2D"
_WEIGHTS = {"detect": "the detector", "pose": "the pose network", "recognise": "the recogniser"}
_FORMS = ("crop.strategy", "pose.engine")  # they say which other parameters there are; see tables.py
_FIRST_PASS = "engine."
_TABLES = {"inspect": "quality"}  # where a stage's name is not that of its table


def causes_of(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    """A cause for each parameter of the stage that differs, unordered."""
    yield from _labels(stage, a, b)
    for difference in _telling(stage):
        table, _, name = parameter_of(stage.name, difference.path).partition(".")
        special = _SPECIAL.get((table, name)) or _SPECIAL.get(("", name.partition(".")[0]))
        yield from (special or _plain)(stage, difference, a, b)


def parameter_of(stage: str, path: str) -> str:
    """A parameter's name in bundle.toml: the stage crop of strategy "two_pass" has those of the engine that it asks."""
    if stage == "crop" and path.startswith(_FIRST_PASS):
        return f"pose.{path.removeprefix(_FIRST_PASS)}"
    return f"{_TABLES.get(stage, stage)}.{path}"


def _telling(stage: StageComparison) -> list[ParameterDifference]:
    """The parameters without those that follow: another engine, or another strategy, has others, weights and code."""
    named = [(parameter_of(stage.name, each.path), each) for each in stage.parameters]
    if not any(name in _FORMS for name, _ in named):
        return list(stage.parameters)
    return [
        each
        for name, each in named
        if _head(name) not in ("weights_sha256", "engine_code") and each.a is not None and each.b is not None
    ]


def _head(parameter: str) -> str:
    """The first part of a parameter's name in its table."""
    return parameter.split(".")[1]


def _plain(stage: StageComparison, difference: ParameterDifference, _a: TraceFile, _b: TraceFile) -> Iterator[Cause]:
    path = parameter_of(stage.name, difference.path)
    code = next((code for pattern, code in _CODES if fnmatchcase(path, pattern)), "parameter")
    score = LIKELY if code == "parameter" else SURE
    yield cause(code, score=score, stage=stage.name, parameter=path, a=difference.a, b=difference.b)


def _weights(stage: StageComparison, difference: ParameterDifference, _a: TraceFile, _b: TraceFile) -> Iterator[Cause]:
    heads = {_head(parameter_of(stage.name, each.path)) for each in stage.parameters}
    table = parameter_of(stage.name, difference.path).partition(".")[0]
    yield cause(
        "weights",
        score=SURE,
        stage=stage.name,
        weights=_WEIGHTS.get(table, table),
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
    key = difference.path.partition(".")[0]
    source = f"{key}.sha256"
    if difference.path == source or not any(each.path == source for each in stage.parameters):
        codes = [side.trace.stage(stage.name).parameters.get(key) for side in (a, b)]
        module = next((code.get("module") for code in codes if isinstance(code, dict)), stage.name)
        shown = {"a": _short(difference.a), "b": _short(difference.b)}
        yield cause("stage-code", score=CODE, stage=stage.name, module=module, **shown, **versions)


def _flags(stage: StageComparison, difference: ParameterDifference, _a: TraceFile, _b: TraceFile) -> Iterator[Cause]:
    """Told only where no parameter that flags are made of tells of it."""
    others = {_head(parameter_of(stage.name, each.path)) for each in stage.parameters} - {"flags", *CODE_PARAMETERS}
    if not others:
        mine, theirs = (each if isinstance(each, list) else [] for each in (difference.a, difference.b))
        only = [[flag for flag in flags if flag not in other] for flags, other in ((mine, theirs), (theirs, mine))]
        yield cause("pose-flags", score=SURE, stage=stage.name, a=only[0], b=only[1])


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
    ("pose", "model_sha256"): _weights,
    ("pose", "flags"): _flags,
    ("", "weights_sha256"): _weights,
    **{("", name): _code for name in CODE_PARAMETERS},
}
