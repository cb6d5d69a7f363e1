"""A model bundle: a folder with bundle.toml, the weights, the labels and every parameter of every stage.

The preprocessing travels with the model, so that training and serving cannot drift apart.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import BundleError

MANIFEST = "bundle.toml"
Joints = Literal["coco17", "openpose18"]
Follow = Literal["score", "largest", "most_confident", "nearest"]


class _Table(BaseModel):
    """A table of bundle.toml: a misspelt key is an error, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class WeightsFile(_Table):
    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)
    source: str
    licence: str


class Labels(_Table):
    names: tuple[str, ...] = Field(min_length=2)


class DetectParameters(_Table):
    """YOLO on a share of the frames; see stages/detect.py."""

    architecture: str
    classes: tuple[str, ...]
    person_class: int = Field(ge=0)
    image_size: int = Field(gt=0, multiple_of=32)
    confidence: float = Field(gt=0, lt=1)
    iou: float = Field(gt=0, lt=1)
    sample_share: float = Field(gt=0, le=1)
    rect: bool = Field(False, description="Pad the scaled frame to a multiple of 32, as predict does, not to a square.")


class CropParameters(_Table):
    """See stages/crop.py."""

    padding: float = Field(ge=0, le=2, description="Share of the box's width and height added on each side.")


class PoseParameters(_Table):
    """OpenPose's network input and decoding; see openpose/decode.py.

    OpenPose itself runs the COCO network with net_height = 368 and width_multiple = 16, and has the defaults below.
    """

    network: dict[str, Any] = Field(description='kind = "small" or "coco", and the parameters of that kind.')
    net_height: int = Field(gt=0, multiple_of=8, description="Height of the network's input; the crop is scaled to it.")
    width_multiple: int = Field(gt=0, multiple_of=8, description="The input's width is padded to a multiple of this.")
    peak_threshold: float = Field(0.05, gt=0, lt=1, description="A peak of a heatmap is a part above this.")
    paf_threshold: float = Field(0.05, gt=0, lt=1, description="A sample of a limb's field agrees with it above this.")
    paf_share: float = Field(0.95, ge=0, lt=1, description="A limb needs more than this share of its samples to agree.")
    min_parts: int = Field(3, ge=1, le=18, description="Parts that a person has at least.")
    min_score: float = Field(0.4, ge=0, description="A person's score divided by its parts, at least.")
    follow: Follow = Field("score", description="Which person of a frame is followed; see openpose/follow.py.")


class QualityParameters(_Table):
    """See stages/inspect.py."""

    max_missing_share: float = Field(
        ge=0, le=1, description="Share of the joints, over all frames, above which an input is refused; 1: never."
    )


class InterpolateParameters(_Table):
    """See stages/interpolate.py."""

    method: Literal["linear", "none"]


class TrimParameters(_Table):
    """See stages/trim.py."""

    threshold: float = Field(ge=0, description="Step of a joint from frame to frame, in torso lengths, that is motion.")
    margin: int = Field(ge=0, description="Static frames kept before and after the motion.")
    min_frames: int = Field(ge=2, description="Fewer frames than this are never left: then nothing is trimmed.")


class NormaliseParameters(_Table):
    """See stages/normalise.py."""

    reference: Literal["frame", "crop", "skeleton"]
    padding: float = Field(0.0, ge=0, le=2)
    joints: Joints = Field("coco17", description="The joints of the recogniser's graph; see keypoints.py.")
    transforms: tuple[dict[str, Any], ...] = Field(min_length=1)


class RecogniseParameters(_Table):
    """See stages/recognise.py."""

    model: dict[str, Any]


class Demo(_Table):
    """A clip that ships with the bundle, and its label: what a service answers before it calls itself ready."""

    clip: str
    label: str
    recorded: bool = Field(False, description="The label is what the model said when the bundle was made.")


class Golden(_Table):
    """What an input gave, stage by stage, where the bundle was made; see golden/."""

    input: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="A video or skeleton CSV of the bundle.")
    trace: str = Field(pattern=r"^golden/[A-Za-z0-9][A-Za-z0-9._-]*\.json$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Of the trace, which holds that of its arrays.")


class Bundle(_Table):
    """The content of bundle.toml. `folder` is where it was read from, `sha256` names its whole content."""

    folder: Path
    sha256: str
    format: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str
    summary: str
    licence: str
    source: str
    labels: Labels
    weights: dict[Literal["detector", "pose", "recogniser"], WeightsFile]
    detect: DetectParameters
    crop: CropParameters
    pose: PoseParameters
    quality: QualityParameters
    interpolate: InterpolateParameters
    trim: TrimParameters
    normalise: NormaliseParameters
    recognise: RecogniseParameters
    demo: Demo
    golden: tuple[Golden, ...] = ()

    @model_validator(mode="after")
    def _labels_fit_the_model(self) -> Bundle:
        classes = self.recognise.model.get("cls_head", {}).get("num_classes")
        if classes != len(self.labels.names):
            raise ValueError(f"labels.names has {len(self.labels.names)} names, the model has {classes} classes")
        absent = {"detector", "pose", "recogniser"} - set(self.weights)
        if absent:
            raise ValueError(f"weights lacks {', '.join(sorted(absent))}")
        return self

    @model_validator(mode="after")
    def _joints_fit_the_graph(self) -> Bundle:
        graph = self.recognise.model.get("backbone", {}).get("graph_cfg", {})
        has_neck = isinstance(graph, dict) and graph.get("layout") == "openpose"
        if has_neck != (self.normalise.joints == "openpose18"):
            raise ValueError(f"normalise.joints is {self.normalise.joints!r}, the model's graph is {graph!r:.80}")
        return self

    def load_weights(self, name: Literal["detector", "pose", "recogniser"]) -> dict:
        """Read one weights file: parameter name to torch tensor, in the order of the file."""
        from safetensors.torch import load_file  # torch is slow to import and not every command needs it

        return load_file(self.folder / self.weights[name].file)

    def identity(self) -> dict:
        """What an answer says of the bundle that made it."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle and check its weights; golden traces are checked when they are replayed (golden/replay.py).

    Raises:
        BundleError: bundle.toml is missing or wrong, or a weights file is missing, of another size or damaged.
    """
    folder = Path(folder).resolve()
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise BundleError(f"{folder} holds no {MANIFEST}", fix="name the folder of a model bundle")
    try:
        content = tomllib.loads(manifest.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{manifest} is not TOML: {error}", fix="correct that line") from error
    try:
        bundle = Bundle(folder=folder, sha256=_digest(manifest), **content)
    except (ValidationError, TypeError) as error:
        raise BundleError(f"{manifest}: {first_problem(error)}", fix="correct that key") from error
    for weights in bundle.weights.values():
        _check_weights(folder / weights.file, weights)
    return bundle


def _check_weights(path: Path, expected: WeightsFile) -> None:
    fix = "restore the file from where the bundle came from"
    if not path.is_file():
        raise BundleError(f"{path} is missing", fix=fix)
    if path.stat().st_size != expected.bytes:
        raise BundleError(f"{path} has {path.stat().st_size} bytes, expected {expected.bytes}", fix=fix)
    found = _digest(path)
    if found != expected.sha256:
        raise BundleError(f"{path} has sha256 {found}, expected {expected.sha256}: its content changed", fix=fix)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_problem(error: Exception) -> str:
    """One line on the first of pydantic's complaints: the key, what is wrong, what was found."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}, found {first['input']!r:.80}"


def check_state(module, state: dict, path: Path) -> None:
    """Load weights into a torch module; every name and shape must fit.

    Raises:
        BundleError: names that lack or do not belong, or a shape that differs; the first of each is named.
    """
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    problems = [
        *(f"{name} is missing" for name in wanted.keys() - found.keys()),
        *(f"{name} does not belong to the model" for name in found.keys() - wanted.keys()),
        *(
            f"{name} has shape {found[name]}, expected {wanted[name]}"
            for name in wanted.keys() & found.keys()
            if wanted[name] != found[name]
        ),
    ]
    if problems:
        raise BundleError(
            f"{path.name} does not fit its model: {sorted(problems)[0]} ({len(problems)} such)",
            fix="use the weights that were made for this architecture",
        )
    module.load_state_dict(state)
