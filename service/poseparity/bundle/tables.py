"""Tables of bundle.toml: what all have in common, and the two that have several forms, `[crop]` and `[pose]`.

`crop.strategy` and `pose.engine` tell the form; each form has its own keys, and a key of another form is an error.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator

Follow = Literal["score", "largest", "most_confident", "nearest"]
# Who computes a pose network's convolutions: oneDNN, or NNPACK where it can; see engines/openpose/convolution.py.
Convolution = Literal["direct", "fast"]
DIRECT, FAST = get_args(Convolution)
_SHA256 = "^[0-9a-f]{64}$"
FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$"  # of a file in the bundle's own folder


class Table(BaseModel):
    """A table of bundle.toml: a misspelt key is an error, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


class UltralyticsTable(Table):
    """What every model of ultralytics runs with; see yolo.py."""

    architecture: str = Field(pattern=FILE_NAME)
    classes: tuple[str, ...] = Field(min_length=1, max_length=10_000)
    person_class: int = Field(ge=0)
    image_size: int = Field(
        gt=0, le=4096, multiple_of=32
    )  # the coarsest maps of these networks have a cell for 32 pixels
    confidence: float = Field(gt=0, lt=1)
    iou: float = Field(gt=0, lt=1)
    rect: bool = Field(False, description="Pad the scaled frame to a multiple of 32, as predict does, not to a square.")


# --- [crop] ----------------------------------------------------------------------------------------------------------


class YoloCrop(Table):
    """The union of the detector's boxes; see stages/crop.py."""

    strategy: Literal["yolo"] = "yolo"
    padding: float = Field(ge=0, le=2, description="Share of the box's width and height added on each side.")


class WholeFrame(Table):
    """No crop: the pose engine sees the whole frame, and no detector is needed."""

    strategy: Literal["none"]


class TwoPassCrop(Table):
    """The extent of the joints that the pose engine finds in some whole frames; no detector is needed."""

    strategy: Literal["two_pass"]
    padding: float = Field(ge=0, le=2, description="Share of the extent's width and height added on each side.")
    sample_share: float = Field(gt=0, le=1, description="Share of the frames that the first pass looks at.")


# --- [pose] ----------------------------------------------------------------------------------------------------------


class _PoseTable(Table):
    follow: Follow = Field("score", description="Which person of a frame is followed; see follow.py.")


class OpenPoseParameters(_PoseTable):
    """OpenPose's network in torch: its input and decoding; see openpose/decode.py.

    OpenPose itself runs the COCO network with net_height = 368 and width_multiple = 16, and has the defaults below.
    """

    engine: Literal["openpose"] = "openpose"
    network: dict[str, Any] = Field(
        description='kind = "small" or "coco", convolution = "direct" (default) or "fast", the parameters of that kind.'
    )
    net_height: int = Field(
        gt=0, le=4096, multiple_of=8, description="Height of the network's input; the crop is scaled to it."
    )
    width_multiple: int = Field(
        gt=0, le=4096, multiple_of=8, description="The input's width is padded to a multiple of this."
    )
    peak_threshold: float = Field(0.05, gt=0, lt=1, description="A peak of a heatmap is a part above this.")
    paf_threshold: float = Field(0.05, gt=0, lt=1, description="A sample of a limb's field agrees with it above this.")
    paf_share: float = Field(0.95, ge=0, lt=1, description="A limb needs more than this share of its samples to agree.")
    min_parts: int = Field(3, ge=1, le=18, description="Parts that a person has at least.")
    min_score: float = Field(0.4, ge=0, description="A person's score divided by its parts, at least.")


class OpenPoseBinaryParameters(_PoseTable):
    """OpenPose's executable; see engines/openpose_binary.py. The flags' defaults are OpenPose's own."""

    engine: Literal["openpose-binary"]
    version: str = Field(description="What the executable prints for --version.")
    executable_sha256: str | None = Field(
        None, pattern=_SHA256, description="Of the executable; absent: builds of other machines may run the bundle."
    )
    model_sha256: str = Field(pattern=_SHA256, description="Of pose_iter_440000.caffemodel in OpenPose's models.")
    net_resolution: str = Field(
        "-1x368", pattern=r"^(-1|[1-9]\d*)x(-1|[1-9]\d*)$", description="WIDTHxHEIGHT, multiples of 16."
    )
    number_people_max: int = Field(-1, ge=-1, description="Persons kept in a frame; -1: all.")
    maximize_positives: bool = Field(False, description="Lower thresholds for a person.")
    scale_number: int = Field(1, ge=1, description="Scales that are averaged.")
    scale_gap: float = Field(0.3, gt=0, lt=1, description="Gap between two scales.")

    @field_validator("net_resolution")
    @classmethod
    def _multiples_of_16(cls, value: str) -> str:
        sides = [int(side) for side in value.split("x")]
        if max(sides) == -1 or any(side % 16 for side in sides if side != -1):
            raise ValueError("a side should be a multiple of 16, and one of the two may be -1")
        return value


class UltralyticsPoseParameters(_PoseTable, UltralyticsTable):
    """A pose model of ultralytics; see engines/ultralytics_pose.py."""

    engine: Literal["ultralytics"]
    keypoint_confidence: float = Field(ge=0, lt=1, description="A joint of less confidence is missing.")


# --- which form ------------------------------------------------------------------------------------------------------

STRATEGIES = {"yolo": YoloCrop, "none": WholeFrame, "two_pass": TwoPassCrop}
ENGINES = {
    "openpose": OpenPoseParameters,
    "openpose-binary": OpenPoseBinaryParameters,
    "ultralytics": UltralyticsPoseParameters,
}


# The tables that have several forms: the key that tells the form, and the forms. A table without the key has the first.
FORMS: dict[str, tuple[str, dict[str, type[Table]]]] = {"crop": ("strategy", STRATEGIES), "pose": ("engine", ENGINES)}


def _form(key: str, forms: dict[str, type[Table]]) -> Discriminator:
    """Bundles from before there were several forms do not name theirs: it is the first."""
    default, expected = next(iter(forms)), " or ".join(map(repr, forms))

    def tag(table: Any) -> str:
        return str(table.get(key, default) if isinstance(table, dict) else getattr(table, key, default))

    return Discriminator(
        tag, custom_error_type="form", custom_error_message=f"{key} should be {expected}", custom_error_context={}
    )


CropParameters = Annotated[
    Annotated[YoloCrop, Tag("yolo")] | Annotated[WholeFrame, Tag("none")] | Annotated[TwoPassCrop, Tag("two_pass")],
    _form("strategy", STRATEGIES),
]
PoseParameters = Annotated[
    Annotated[OpenPoseParameters, Tag("openpose")]
    | Annotated[OpenPoseBinaryParameters, Tag("openpose-binary")]
    | Annotated[UltralyticsPoseParameters, Tag("ultralytics")],
    _form("engine", ENGINES),
]
