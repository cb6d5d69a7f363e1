"""A model bundle: a folder with bundle.toml, the weights, the labels and every parameter of every stage.

The preprocessing travels with the model, so that training and serving cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, ValidationError, model_validator

from ..environment.files import sha256_file
from ..errors import BundleError
from .mmaction2_types import check_model, check_transform
from .plain_files import read_toml, shown
from .signing import check_signature
from .tables import ENGINES, FILE_NAME, FORMS, STRATEGIES, CropParameters, PoseParameters, Table, UltralyticsTable

MANIFEST = "bundle.toml"
_RESTORE = "restore the file from where the bundle came from"
Joints = Literal["coco17", "openpose18"]


class WeightsFile(Table):
    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)
    source: str
    licence: str


class Labels(Table):
    names: tuple[str, ...] = Field(min_length=2)


class DetectParameters(UltralyticsTable):
    """YOLO on a share of the frames; see stages/detect.py."""

    sample_share: float = Field(gt=0, le=1)


class InputParameters(Table):
    """What is known of a skeleton CSV that comes without its video, see pipeline.py."""

    frame_size: tuple[PositiveInt, PositiveInt] | None = Field(
        None, description="Width and height, pixels, of the frame of a skeleton CSV that is sent without one."
    )


class QualityParameters(Table):
    """See stages/inspect.py and stages/decode.py."""

    max_missing_share: float = Field(
        ge=0, le=1, description="Share of the joints, over all frames, above which an input is refused; 1: never."
    )
    min_decoded_share: float = Field(
        0.95, ge=0, le=1, description="Share of a video that has to be there and sound; 0: whatever can be decoded."
    )


class InterpolateParameters(Table):
    """See stages/interpolate.py."""

    method: Literal["linear", "none"]


class TrimParameters(Table):
    """See stages/trim.py. Bundles from before there was a choice do not name their method: it is "motion"."""

    method: Literal["motion", "none"] = Field("motion", description='"none": every frame is kept, whatever moves.')
    threshold: float | None = Field(
        None, ge=0, description="Step of a joint from frame to frame, in torso lengths, that is motion; 0: as none."
    )
    margin: int | None = Field(None, ge=0, description="Static frames kept before and after the motion.")
    min_frames: int | None = Field(
        None, ge=2, description="Fewer frames than this are never left: then nothing is trimmed."
    )

    @model_validator(mode="after")
    def _keys_belong_to_the_method(self) -> TrimParameters:
        keys = {name: getattr(self, name) for name in ("threshold", "margin", "min_frames")}
        if self.method == "motion" and None in keys.values():
            absent = next(name for name, value in keys.items() if value is None)
            raise ValueError(f'{absent} is missing, which method "motion" needs; method "none" cuts nothing')
        if self.method == "none" and (extra := [name for name, value in keys.items() if value is not None]):
            raise ValueError(f'{extra[0]} is given, and method "none" cuts nothing: leave one of them out')
        return self


class NormaliseParameters(Table):
    """See stages/normalise.py. The defaults are what MMAction2's `inference_skeleton` does."""

    reference: Literal["frame", "crop", "skeleton", "fixed"] = Field(
        description="The box that coordinates are relative to, MMAction2's img_shape."
    )
    size: tuple[PositiveInt, PositiveInt] | None = Field(
        None, description='With reference "fixed": its width and height, pixels, whatever the video\'s size.'
    )
    padding: float = Field(0.0, ge=0, le=2, description='With reference "skeleton": share added on each side.')
    coordinates: Literal["pixels", "unit", "signed"] = Field(
        "pixels",
        description="What the first transform gets: pixels of the box, [0, 1] or [-1, 1] of its width and height.",
    )
    confidence: Literal["estimated", "ones", "threshold"] = Field(
        "estimated", description="Keypoint scores: as estimated, all 1, or 0 where they are below the threshold."
    )
    confidence_threshold: float | None = Field(None, gt=0, le=1, description='With confidence "threshold".')
    precision: Literal["float16", "float32", "float64"] = Field(
        "float16", description="How keypoints and scores are stored before the transforms."
    )
    joints: Joints = Field("coco17", description="The joints of the recogniser's graph; see keypoints.py.")
    transforms: tuple[dict[str, Any], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _keys_belong_together(self) -> NormaliseParameters:
        for key, owner, wanted in (("size", "reference", "fixed"), ("confidence_threshold", "confidence", "threshold")):
            given, chosen = getattr(self, key) is not None, getattr(self, owner)
            if given != (chosen == wanted):
                problem = f"{key} is given" if given else f"{key} is missing"
                raise ValueError(f"{problem}, and {owner} is {chosen!r}; {key} goes with {wanted!r} alone")
        return self


class RecogniseParameters(Table):
    """See stages/recognise.py."""

    model: dict[str, Any]


# The tables whose keys are parameters: of a skeleton CSV, and of the stages in their order.
PARAMETERS = {
    "input": InputParameters,
    "detect": DetectParameters,
    "crop": CropParameters,
    "pose": PoseParameters,
    "quality": QualityParameters,
    "interpolate": InterpolateParameters,
    "trim": TrimParameters,
    "normalise": NormaliseParameters,
    "recognise": RecogniseParameters,
}


def forms_of(name: str) -> tuple[type[Table], ...]:
    """The forms that a table of `PARAMETERS` may have; most have one."""
    return tuple(FORMS[name][1].values()) if name in FORMS else (PARAMETERS[name],)


def form_of(name: str, table: dict) -> type[Table] | None:
    """The form that a table of `PARAMETERS` has; None where its key names none."""
    if name not in FORMS:
        return PARAMETERS[name]
    key, forms = FORMS[name]
    return forms.get(str(table.get(key, next(iter(forms)))))


class Demo(Table):
    """A clip that ships with the bundle, and its label: what a service answers before it calls itself ready."""

    clip: str = Field(pattern=FILE_NAME)
    label: str
    recorded: bool = Field(False, description="The label is what the model said when the bundle was made.")


class Golden(Table):
    """What an input gave, stage by stage, where the bundle was made; see golden/."""

    input: str = Field(pattern=FILE_NAME, description="A video or skeleton CSV of the bundle.")
    trace: str = Field(pattern=r"^golden/[A-Za-z0-9][A-Za-z0-9._-]*\.json$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Of the trace, which holds that of its arrays.")


class Bundle(Table):
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
    input: InputParameters = InputParameters()
    detect: DetectParameters | None = None
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
    def _mmaction2_gets_what_bundles_run(self) -> Bundle:
        for position, transform in enumerate(self.normalise.transforms):
            check_transform(transform, f"normalise.transforms.{position}")
        check_model(self.recognise.model)
        return self

    @model_validator(mode="after")
    def _labels_fit_the_model(self) -> Bundle:
        classes = self.recognise.model.get("cls_head", {}).get("num_classes")
        if classes != len(self.labels.names):
            raise ValueError(f"labels.names has {len(self.labels.names)} names, the model has {classes} classes")
        return self

    @model_validator(mode="after")
    def _joints_fit_the_graph(self) -> Bundle:
        graph = self.recognise.model.get("backbone", {}).get("graph_cfg", {})
        has_neck = isinstance(graph, dict) and graph.get("layout") == "openpose"
        if has_neck != (self.normalise.joints == "openpose18"):
            raise ValueError(f"normalise.joints is {self.normalise.joints!r}, the model's graph is {graph!r}")
        return self

    @model_validator(mode="after")
    def _the_detector_is_there_where_it_is_used(self) -> Bundle:
        if self.uses_detector != (self.detect is not None):
            problem = "[detect] is missing" if self.uses_detector else "[detect] does not belong to the bundle"
            raise ValueError(f'{problem}: crop.strategy is "{self.crop.strategy}"')
        return self

    @model_validator(mode="after")
    def _weights_are_those_of_the_stages(self) -> Bundle:
        needed = {"recogniser"}
        needed |= {"detector"} if self.uses_detector else set()
        needed |= {"pose"} if self.pose.engine != "openpose-binary" else set()
        why = f'crop.strategy is "{self.crop.strategy}", pose.engine is "{self.pose.engine}"'
        if absent := needed - set(self.weights):
            raise ValueError(f"weights lacks {', '.join(sorted(absent))}: {why}")
        if extra := set(self.weights) - needed:
            raise ValueError(f"weights has {', '.join(sorted(extra))}, which nothing uses: {why}")
        return self

    @property
    def uses_detector(self) -> bool:
        return self.crop.strategy == "yolo"

    def load_weights(self, name: Literal["detector", "pose", "recogniser"]) -> dict:
        """Read one weights file: parameter name to torch tensor, in the order of the file.

        Raises:
            BundleError: it is damaged.
        """
        from safetensors import SafetensorError  # torch is slow to import and not every command needs it
        from safetensors.torch import load_file

        path = self.file(self.weights[name].file)
        try:
            return load_file(path)
        except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
            words = " ".join(str(error).split())[:200]
            raise BundleError(f"{path} is no safetensors file: {words}", fix=_RESTORE) from error

    def file(self, name: str) -> Path:
        """A file of the bundle.

        Raises:
            BundleError: it is missing, or not in the bundle's folder.
        """
        path = self.folder / name
        try:
            is_inside = path.resolve().is_relative_to(self.folder.resolve())
        except (OSError, RuntimeError):  # a link to itself
            is_inside = False
        if not is_inside:
            raise BundleError(
                f"{path} is a link that leads out of the bundle, or nowhere",
                fix="copy the file into the bundle: a bundle is whole, wherever it is moved",
            )
        if not path.is_file():
            raise BundleError(f"{path} is missing", fix=_RESTORE)
        return path

    def file_names(self) -> Iterator[str]:
        """Every file that bundle.toml names, relative to the folder."""
        yield from (weights.file for weights in self.weights.values())
        yield self.demo.clip
        if self.detect is not None:
            yield self.detect.architecture
        if self.pose.engine == "ultralytics":
            yield self.pose.architecture
        for entry in self.golden:
            yield from (entry.input, entry.trace)

    def identity(self) -> dict:
        """What an answer says of the bundle that made it."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}


def load_bundle(folder: Path, signers: Path | None = None) -> Bundle:
    """Read a bundle and check its weights; golden traces are checked when they are replayed (golden/replay.py).

    Args:
        signers: ssh-keygen's file of allowed signers: one of them has to have signed the bundle, see signing.py. None:
            anybody's bundle is read.

    Raises:
        BundleError: bundle.toml is missing or wrong, it names what bundles do not run, a weights file is missing, of
            another size or damaged, or no allowed signer has signed it.
    """
    folder = Path(folder).resolve()
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise BundleError(f"{folder} holds no {MANIFEST}", fix="name the folder of a model bundle")
    # Before anything in it is read.
    if signers is not None:
        check_signature(folder, signers)
    content = read_toml(manifest, fix="correct that line")
    try:
        bundle = Bundle(folder=folder, sha256=sha256_file(manifest).hexdigest(), **content)
    except (ValidationError, TypeError) as error:
        raise BundleError(f"{manifest}: {first_problem(error)}", fix="correct that key") from error
    except BundleError as error:
        raise BundleError(f"{manifest}: {error}", fix=error.fix) from error
    # What is missing is told where it is used, but nothing that is there may lead out of the folder.
    for name in bundle.file_names():
        if (folder / name).exists() or (folder / name).is_symlink():
            bundle.file(name)
    for weights in bundle.weights.values():
        _check_weights(bundle.file(weights.file), weights)
    return bundle


def _check_weights(path: Path, expected: WeightsFile) -> None:
    # The size first: it tells of a copy that broke off, without reading gigabytes.
    if path.stat().st_size != expected.bytes:
        raise BundleError(f"{path} has {path.stat().st_size} bytes, expected {expected.bytes}", fix=_RESTORE)
    found = sha256_file(path).hexdigest()
    if found != expected.sha256:
        raise BundleError(f"{path} has sha256 {found}, expected {expected.sha256}: its content changed", fix=_RESTORE)


def first_problem(error: Exception, *section: str) -> str:
    """One line on the first of pydantic's complaints: the key, below `section`, what is wrong, what was found."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    # pydantic names the form of a table that has several as if it were a key.
    names = [str(part) for part in (*section, *first["loc"]) if part not in STRATEGIES and part not in ENGINES]
    return f"{'.'.join(names):.160}: {first['msg']}, found {shown(first['input'])}"
