"""Every cause that comparing two traces can name: its code, which stays, and its words.

A title and a `confirm` are templates over the cause's evidence; a test holds every caller to giving what they name.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ...result import Cause

_SHA256 = re.compile("[0-9a-f]{64}")
_SHORT = 12  # digits of a digest that are enough to tell two apart
_LONGEST = 80  # characters of a value within a sentence
_BEFORE = 10  # characters that stay before the place where two long values part


class Words(NamedTuple):
    """How a cause is told: what it is, and what would confirm it."""

    title: str
    confirm: str


_BOTH = "{parameter} is {a} in A and {b} in B"
_SET = "run one side with the other's bundle, or set {parameter} in its bundle.toml, and compare again"

CATALOGUE: dict[str, Words] = {
    # --- what was given ---
    "input-differs": Words(
        "the two runs had different inputs: {a} in A, {b} in B",
        "send the same file to both: compare `sha256sum` of what each was given",
    ),
    "bundle-differs": Words(
        "the two runs had different bundles: {a} in A, {b} in B",
        "`poseparity bundle show` on both sides, and `diff`",
    ),
    # --- parameters ---
    "detector-image-size": Words("YOLO looks at another image size: " + _BOTH, _SET),
    "detector-confidence": Words("YOLO has another confidence threshold: " + _BOTH, _SET),
    "detector-nms": Words("YOLO suppresses overlapping boxes otherwise: " + _BOTH, _SET),
    "sampling-share": Words("another share of the frames is searched for persons: " + _BOTH, _SET),
    "crop-padding": Words("the crop is padded otherwise: " + _BOTH, _SET),
    "crop-strategy": Words("the crop is found in another way: " + _BOTH, _SET),
    "pose-engine": Words("another engine estimates the pose: " + _BOTH, _SET),
    "pose-network-size": Words("the pose network's input has another size: " + _BOTH, _SET),
    "pose-convolution": Words(
        "the pose network's convolutions are computed in another way, by oneDNN (direct) or NNPACK (fast): " + _BOTH,
        _SET,
    ),
    "pose-nms": Words("peaks of the heatmaps count from another threshold (OpenPose's NMS threshold): " + _BOTH, _SET),
    "pose-thresholds": Words("joints are put together to persons otherwise: " + _BOTH, _SET),
    "pose-persons": Words("other persons count: " + _BOTH, _SET),
    "pose-joints": Words("a joint counts as seen from another confidence: " + _BOTH, _SET),
    "pose-program": Words(
        "another build of OpenPose estimates the pose: " + _BOTH,
        "`sha256sum` of the executable on both sides (POSEPARITY_OPENPOSE_BINARY); install the same build on both",
    ),
    "pose-flags": Words(
        "OpenPose is started with other flags: {a} in A, {b} in B",
        "install the same release of poseparity on both sides",
    ),
    "pose-follow": Words("another of several persons is followed: " + _BOTH, _SET),
    "interpolation-off": Words(
        "{side} does not interpolate: missing joints stay 0,0,0", "interpolate.method in both bundle.toml"
    ),
    "interpolation-one-sided": Words(
        "{side} fills missing joints from one side only: {what}",
        "compare how both treat joints that are missing at the start and at the end",
    ),
    "trimming-off": Words("{side} does not trim static frames: it keeps all {frames}", "[trim] in both bundle.toml"),
    "trimming": Words("static frames are trimmed by another rule: " + _BOTH, _SET),
    "img-shape": Words(
        "coordinates are taken relative to another box (MMAction2's img_shape): {a} in A, {b} in B",
        "normalise.reference in both bundle.toml; in code of your own, the img_shape of the annotation",
    ),
    "reference-box": Words("the box that coordinates are relative to is made otherwise: " + _BOTH, _SET),
    "coordinate-range": Words("the transforms get coordinates of another range: " + _BOTH, _SET),
    "keypoint-scores": Words("the transforms get other confidences: " + _BOTH, _SET),
    "graph-joints": Words("the recogniser's graph has other joints: " + _BOTH, _SET),
    "prenormalise-off": Words(
        "{side} runs without PreNormalize2D",
        "the test pipeline of the config on that side, and [[normalise.transforms]]",
    ),
    "transform-argument": Words(
        "the transform {transform} has another {argument}: {a} in A and {b} in B",
        "run one side with the other's bundle, or set {argument} of {transform} in [[normalise.transforms]] of its "
        "bundle.toml, and compare again",
    ),
    "transform-absent": Words(
        "{side} runs without the transform {transform}, which {other} runs",
        "the test pipeline of the config on both sides, and [[normalise.transforms]]",
    ),
    "transforms": Words(
        "the transforms before the recogniser stand in another order: {a} in A, {b} in B",
        "the test pipeline of the config on both sides, and the order of [[normalise.transforms]]",
    ),
    "transform-replaced": Words(
        "another class runs under the name {name}: {a} in A, {b} in B",
        "look for a class registered with force=True, or custom_imports, on the side that is not MMAction2's own",
    ),
    "labels-order": Words(
        "the labels stand in another order: {a} in A, {b} in B", "labels.names in both bundle.toml, and the training's"
    ),
    "labels": Words("the labels differ: {a} in A, {b} in B", "labels.names in both bundle.toml"),
    "weights": Words(
        "the weights of {weights} differ (sha256 {a} in A, {b} in B): another checkpoint, or a damaged file; "
        "the architecture is {architecture}",
        "`sha256sum` of the weights file on both sides, and of the one you trained",
    ),
    "architecture": Words("the network's architecture differs: " + _BOTH, _SET),
    "stage-code": Words(
        "the code of the stage differs: {module}, sha256 {a} in A, {b} in B",
        "install the same release of poseparity on both sides; `poseparity: {version_a}` in A, `{version_b}` in B",
    ),
    "parameter": Words(_BOTH, _SET),
    # --- environment ---
    "shadowed-module": Words(
        "another file of that name is imported in place of a module: {what}",
        "import that module on both sides and print its __file__; remove the file or unset PYTHONPATH, compare again",
    ),
    "byte-code": Words(
        "Python runs byte code that was not made from the source beside it: {what}",
        "remove that .pyc file, run again, and compare",
    ),
    "foreign-code": Words(
        "code is loaded that came neither with its package nor with the system: {what}",
        "move that file away, or install what it lies in again, and compare again",
    ),
    "search-path": Words(
        "modules are looked for in other folders: {what}", "unset PYTHONPATH, look into .pth files, and compare again"
    ),
    "variables": Words(
        "a variable that libraries read, and that is no pin, is set otherwise: {what}",
        "unset it on that side, run again, and compare",
    ),
    "cv2-providers": Words(
        "another or more than one distribution provides cv2: {what}",
        "remove every opencv distribution, install opencv-python of the lock alone, and compare again",
    ),
    "opencv": Words("OpenCV differs: {what}", "install the locked opencv-python on both sides, and compare again"),
    "numpy": Words("NumPy differs: {what}", "install the locked numpy on both sides, and compare again"),
    "torch": Words("PyTorch differs: {what}", "install the locked torch on both sides, and compare again"),
    "mmaction2": Words("MMAction2's packages differ: {what}", "install the locked versions on both sides"),
    "ultralytics": Words("ultralytics differs: {what}", "install the locked ultralytics on both sides"),
    "packages": Words("other packages differ: {what}", "build both sides from one lock (lockfiles/)"),
    "threads": Words(
        "the number of threads differs, and a sum that is split over threads is another sum: {what}",
        "run both with lockfiles/numerics.env in the environment; `poseparity env` shows each pin's effect",
    ),
    "mkl-branch": Words(
        "MKL chooses its code by the processor: {what}", "set MKL_CBWR=COMPATIBLE, run again, and compare"
    ),
    "ipp": Words("OpenCV uses Intel's IPP on one side: {what}", "set OPENCV_IPP=disabled, run again, and compare"),
    "instruction-sets": Words(
        "other instructions (AVX-512) are allowed: {what}",
        "run both with lockfiles/numerics.env in the environment; `poseparity env` shows each pin's effect",
    ),
    "pins": Words("a numerical pin differs: {what}", "run both with lockfiles/numerics.env in the environment"),
    "startup": Words(
        "code that came with no package runs when Python starts, and can replace any function: {what}",
        "read that file; move it away on that side, and compare again",
    ),
    "operations": Words(
        "{library} computes other bits: {what}", "`python scripts/verify_env.py compare` of both environments"
    ),
    "libm": Words("the C library's mathematical functions differ: {what}", "run both in the project's image"),
    "platform": Words(
        "another system or processor architecture: {what}",
        "results can be equal within a tolerance only; run one of the two in the project's image on x86-64",
    ),
    "processor": Words("another processor: {what}", "compare the fingerprints of both with `verify_env.py compare`"),
    "package-code": Words(
        "the code of poseparity differs: {what}", "install the same release of poseparity on both sides"
    ),
    "environment": Words("the environments differ: {what}", "`python scripts/verify_env.py compare` of both"),
    # --- what the arrays show ---
    "jpeg": Words(
        "{side}'s pixels went through JPEG (quality about {quality})",
        "look for an image that is written to a file on that side, and write PNG or keep it in memory",
    ),
    "resize-method": Words(
        "{side} resizes the crop otherwise: {method}", "compare the interpolation that both give to cv2.resize"
    ),
    "colour-order": Words("{side} has red and blue exchanged", "look for a conversion between BGR and RGB"),
    "pixels-changed": Words(
        "the pixels of {value} were changed between equal frames and the network: {what}",
        "record both with --trace-arrays and compare again; look for what writes or resizes images in between",
    ),
    "coordinates-unit": Words("{side}'s coordinates are in [0,1]", "compare the skeleton CSVs of both sides"),
    "mean-centring": Words(
        "{side}'s coordinates are centred on their mean", "look for a PreNormalize2D of another origin on that side"
    ),
    "scores-one": Words("{side} sets all confidences to one", "compare the Nose_c columns of both skeleton CSVs"),
    "keypoint-precision": Words(
        "the keypoints are {a} in A and {b} in B before they are normalised",
        "normalise.precision in both bundle.toml; in code of your own, the dtype of the annotation's keypoint: "
        "MMAction2's inference_skeleton stores float16",
    ),
    "unknown": Words("nothing that the traces record explains it", "{hint}"),
}


class _Shown(dict):
    """Evidence as text. What a cause lacks is said to be unknown: no user loses a report to one of its sentences."""

    def __missing__(self, key: str) -> str:
        return "unknown"


def cause(code: str, *, score: float, stage: str | None = None, **evidence: object) -> Cause:
    """A cause of the catalogue.

    Args:
        score: how sure it is, 0 to 1.
        stage: the stage where it acts.
        evidence: JSON-ready figures; the catalogue's words for this code name some of them.
    """
    words = CATALOGUE[code]
    shown = _Shown({key: show(value) for key, value in evidence.items()})
    if "a" in evidence and "b" in evidence:
        shown["a"], shown["b"] = show_apart(evidence["a"], evidence["b"])
    return Cause(code, words.title.format_map(shown), evidence, words.confirm.format_map(shown), score, stage)


def show(value: object) -> str:
    """A value for a sentence: long ones, and digests, are cut."""
    text = _text(value)
    if _SHA256.fullmatch(text):
        return text[:_SHORT]
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def show_apart(a: object, b: object) -> tuple[str, str]:
    """Two values that differ, so that a reader sees it: "1" is no 1, and long ones are shown where they part."""
    shown = show(a), show(b)
    if shown[0] != shown[1] or a == b:
        return shown
    texts = [_text(value) for value in (a, b)]
    if texts[0] == texts[1]:
        texts = [repr(value) for value in (a, b)]
    same = next((place for place, pair in enumerate(zip(*texts, strict=False)) if pair[0] != pair[1]), len(min(texts)))
    start = max(0, same - _BEFORE)
    first, second = (("..." if start else "") + show(text[start:]) for text in texts)
    return first, second


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    return "absent" if value is None else str(value)
