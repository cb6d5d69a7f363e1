"""The fields of every request and every answer. /openapi.json is made of these models."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache
from typing import Annotated, Any, Literal

from flask_openapi3 import FileStorage
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from ..missing import LISTED_STRETCHES
from ..trace.model import Trace

# The form's reader turns a text that happens to be JSON, such as 5, into a value.
_AS_SENT = BeforeValidator(lambda value: value if value is None else str(value))


def _form_text(pattern: str) -> Any:
    """A form's field that may be left out: it has no null, which the type alone would describe."""
    return WithJsonSchema({"type": "string", "pattern": pattern})


_PIXELS = "(100000|[1-9][0-9]{0,4})"
_OFFSET = "(100000|[1-9][0-9]{0,4}|0)"
# More pixels than any video has, and few enough for every computation with them.
_Position = Annotated[int, Field(ge=0, le=100_000)]
_Length = Annotated[int, Field(ge=1, le=100_000)]
_SIDE = re.compile("[0-9]{1,6}")  # the largest, 100000, has six digits


class _Described(BaseModel):
    """Its JSON schema is made once; flask-openapi3 asks for it four times in every request."""

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        return deepcopy(cls._schema(args, tuple(options.items())))  # whoever gets it may change it

    @classmethod
    @cache
    def _schema(cls, args: tuple, options: tuple) -> dict[str, Any]:
        return super().model_json_schema(*args, **dict(options))


class _Request(_Described):
    """A field that the route does not know is refused: ignoring it would hide a misspelling."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Reply(_Described):
    model_config = ConfigDict(extra="forbid", frozen=True)


# --- errors ----------------------------------------------------------------------------------------------------------


class ErrorBody(_Reply):
    code: str = Field(description="Stable identifier, for programs.", examples=["empty-file"])
    message: str = Field(description="What was found and what was expected, one line.")
    fix: str = Field(description="What to do about it, one line.")
    details: dict[str, Any] = Field(description="Figures that belong to the error.")


class ErrorReply(_Reply):
    """Every error of the service has this shape."""

    error: ErrorBody
    request_id: str = Field(description="The X-Request-Id of the request, or the one that was made for it.")


# "default" is OpenAPI's word for every status that an operation does not list.
ANY_ERROR = {"default": ErrorReply}

# --- POST /v1/predictions --------------------------------------------------------------------------------------------


class PredictionForm(_Request):
    file: FileStorage = Field(description="A video or a skeleton CSV; told by its content.")
    frame_size: Annotated[str | None, _AS_SENT, _form_text(f"^{_PIXELS}x{_PIXELS}$")] = Field(
        None,
        description="WIDTHxHEIGHT, pixels: the frame that a skeleton CSV's coordinates belong to. Not with a video.",
        examples=["1920x1080"],
    )
    crop: Annotated[str | None, _AS_SENT, _form_text(f"^{_OFFSET},{_OFFSET},{_PIXELS},{_PIXELS}$")] = Field(
        None,
        description="X,Y,WIDTH,HEIGHT, pixels: the crop that a skeleton CSV was made from. Not with a video.",
        examples=["320,80,640,900"],
    )
    csv: bool = Field(False, description="1: the answer holds the skeleton CSV as well.")
    trace: bool = Field(False, description="1: the answer holds a trace as well; the same as in the query.")


class PredictionQuery(_Request):
    trace: bool = Field(
        False,
        description="1: the answer holds a trace as well: what every stage was given, made and took. The first one of "
        "a worker takes some seconds more, in which the environment is described.",
    )


class BundleIdentity(_Reply):
    name: str
    version: str
    sha256: str = Field(description="Digest of bundle.toml, which holds those of the weights.")


class Score(_Reply):
    label: str
    score: float = Field(description="Exactly the float32 that was computed.")


class PredictionBody(_Reply):
    index: int = Field(description="Position of the highest score.")
    label: str
    scores: list[Score] = Field(description="In the order of the model's labels.")


class Frames(_Reply):
    total: int = Field(description="Frames of the video, or rows of the CSV.")
    kept: int = Field(description="Frames left after trimming the static ends.")
    first_kept: int
    sampled: int | None = Field(
        None, description="Frames that were looked at to find the crop; of a video only, where the bundle crops."
    )
    with_person: int | None = Field(None, description="Of those, frames with a person.")
    several_persons: int | None = Field(
        None, description="Frames with more than one plausible person, of whom one is followed; of a video only."
    )


class Persons(_Reply):
    used: int = Field(description="Persons whose skeletons the model was given.")
    model: int = Field(description="Persons whose skeletons the model takes.")


class SizeBody(_Reply):
    width: int
    height: int


class BoxBody(SizeBody):
    x: int
    y: int


class FrameStretch(_Reply):
    first_frame: int = Field(description="Counted from 0, in the video or the CSV as it was sent.")
    frames: int = Field(description="Consecutive frames, the first included.")


class JointStretch(FrameStretch):
    joint: str = Field(description="As the skeleton CSV calls it.", examples=["LWrist"])


class EmptyFrames(_Reply):
    count: int = Field(description="Frames in which all joints are missing.")
    stretches: list[FrameStretch] = Field(description=f"The longest first, at most {LISTED_STRETCHES}.")
    stretches_not_listed: int


class Warned(_Reply):
    """Something that may make the scores wrong: the answer was given all the same."""

    code: str = Field(description="Stable identifier, for programs.", examples=["frame-size-assumed"])
    message: str = Field(description="What was found and what was done about it, one line.")


class MissingJoints(_Reply):
    count: int = Field(description="Joints missing, over all frames.")
    total: int = Field(description="Joints that there could be: frames times joints.")
    share: float = Field(description="count of total, rounded to six places.")
    by_joint: dict[str, int] = Field(description="Joint to the frames in which it is missing, where it ever is.")
    never_seen: list[str] = Field(description="Joints missing in every frame: interpolation knows nothing of them.")
    stretches: list[JointStretch] = Field(
        description=f"Consecutive frames in which a joint is missing; the longest first, at most {LISTED_STRETCHES}."
    )
    stretches_not_listed: int = Field(description="Stretches, the shortest, that are not in the list.")
    empty_frames: EmptyFrames


class PredictionReply(_Reply):
    request_id: str
    bundle: BundleIdentity
    prediction: PredictionBody
    frames: Frames
    persons: Persons
    frame_size: SizeBody | None
    crop: BoxBody | None
    missing_joints: MissingJoints = Field(description="Joints that were 0,0,0 before interpolation.")
    warnings: list[Warned] = Field(description="What may make the scores wrong; empty where nothing is known.")
    skeleton_csv_sha256: str
    seconds: dict[str, float] = Field(description="Stage to the seconds it took.")
    skeleton_csv: str | None = Field(None, description="Present when the request's field csv was 1.")
    trace: Trace | None = Field(None, description="Present when the request's trace was 1.")


# --- legacy ----------------------------------------------------------------------------------------------------------


_FRAME_SIZE_FORMS = 'expected "1920x1080", [1920, 1080] or {"width": 1920, "height": 1080}, whole pixels up to 100000'


def _frame_size_as_pair(value: Any) -> Any:
    """The forms of a frame size as [width, height]."""
    if isinstance(value, str):
        value = value.lower().split("x")
        value = [int(side) if _SIDE.fullmatch(side) else None for side in map(str.strip, value)]
    elif isinstance(value, dict):
        value = [value["width"], value["height"]] if set(value) == {"width", "height"} else []
    if value is None:
        return None
    # JSON has one kind of number: some writers make 1920.0 of 1920.
    if (
        isinstance(value, list)
        and len(value) == 2
        and all(type(side) in (int, float) and side == side // 1 and 1 <= side <= 100_000 for side in value)
    ):
        return value
    raise ValueError(_FRAME_SIZE_FORMS)


_FrameSizeText = Annotated[str, Field(pattern=rf"^\s*{_PIXELS}\s*[xX]\s*{_PIXELS}\s*$")]


class FrameSizeBody(_Request):
    width: _Length
    height: _Length


class LegacyRequest(_Described):
    """Keys beside these are answered with a warning: existing clients send some."""

    model_config = ConfigDict(extra="allow", frozen=True)

    csv_base64: str = Field(
        description="A skeleton CSV, base64.",
        json_schema_extra={"contentEncoding": "base64", "contentMediaType": "text/csv", "minLength": 4},
    )
    crop_bbox: tuple[_Position, _Position, _Length, _Length] | None = Field(
        None, description="x, y, width, height of the crop that the CSV was made from, pixels."
    )
    frame_size: Annotated[
        tuple[_Length, _Length] | None,
        BeforeValidator(
            _frame_size_as_pair,
            json_schema_input_type=_FrameSizeText | tuple[_Length, _Length] | FrameSizeBody | None,
        ),
    ] = Field(
        None,
        description='The frame that the coordinates belong to: "WIDTHxHEIGHT", [width, height] or an object with both.',
        examples=["1920x1080"],
    )

    @property
    def unknown_keys(self) -> list[str]:
        return list(self.model_extra)


class LegacyResult(_Reply):
    num_samples: Literal[1] = 1
    predictions: tuple[bool | str] = Field(
        description="One value: true or false for a two-class bundle (true is class 1), else the class's name."
    )


class LegacyRank(_Reply):
    index: int
    label: str
    prob: float


class LegacyParsed(_Reply):
    status: Literal["ok"] = "ok"
    orig_pred_index: int = Field(description="The same as pred_index: no bundle reduces its classes to two.")
    pred_index: int = Field(description="Position of the highest of probs.")
    prediction: str = Field(description="The class's name, whatever the number of classes.")
    raw_probs: list[float] = Field(description="The same as probs: the model's scores, before any reduction.")
    probs: list[float] = Field(description="In the order of the model's labels; exactly the float32 computed.")
    binary_probs: tuple[float, float] | None = Field(None, description="probs again; of a two-class bundle only.")
    confidence: float = Field(description="The highest of probs.")
    reduced_confidence: float = Field(description="The same as confidence.")
    topk: list[LegacyRank] = Field(description="At most five classes, the most probable first.")


class LegacyReply(_Reply):
    message: Literal["OK"] = "OK"
    result: LegacyResult
    parsed: LegacyParsed
    warnings: list[Warned] = Field(description="As in /v1/predictions, and keys of the request that are unknown here.")


class LegacyHealth(_Reply):
    status: Literal["ok"] = "ok"
    ready: bool


# --- health ----------------------------------------------------------------------------------------------------------


class Alive(_Reply):
    status: Literal["alive"] = "alive"


class Ready(_Reply):
    status: Literal["ready"] = "ready"
    bundle: BundleIdentity


class PinState(_Reply):
    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    wanted: str
    ok: bool


class ServiceState(_Reply):
    version: str
    pins: list[PinState] = Field(description="What this process proved before it loaded its models; empty until then.")


class EnvironmentReply(_Described):
    """A snapshot as `verify_env.py snapshot` writes it, so that `verify_env.py compare` reads it; and `service`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str
    format: int
    service: ServiceState
