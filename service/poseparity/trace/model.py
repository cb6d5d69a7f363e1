"""A trace's fields; the package's docstring says what they mean to a reader without this package."""

from __future__ import annotations

import base64
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

FORMAT = "poseparity-trace/1"
CODE = ("code", "engine_code")  # the parameters of a stage that say what code ran: no golden trace has them
_SHA256 = "^[0-9a-f]{64}$"


class _Part(BaseModel):
    """A key that is unknown is kept: a later release may add some without another format."""

    model_config = ConfigDict(extra="allow", frozen=True)


class TracedBundle(_Part):
    name: str
    version: str
    sha256: str | None = Field(
        pattern=_SHA256,
        description="Digest of bundle.toml, which holds those of the weights; null in a golden trace, whose own digest "
        "bundle.toml holds.",
    )


class TracedInput(_Part):
    name: str
    kind: Literal["video", "csv"]
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=_SHA256)


class TracedScore(_Part):
    label: str
    score: float


class TracedPrediction(_Part):
    index: int = Field(ge=0)
    label: str
    scores: list[TracedScore]


class TracedWarning(_Part):
    code: str
    message: str


class TracedValue(_Part):
    """One array that a stage made, or that passed through it frame by frame."""

    name: str
    kind: Literal["result", "observed"]
    unit: str
    dtype: str
    shape: list[int | None] = Field(description="null: a length that differs from frame to frame.")
    sha256: str = Field(pattern=_SHA256)
    frames: list[str] | None = Field(None, description="First 12 hex digits of the digest of each frame's item.")
    data: str | None = Field(None, description="Base64 of the little-endian bytes, where they are at most 4096.")

    def array(self) -> np.ndarray | None:
        """The value itself, where the trace holds it."""
        if self.data is None:
            return None
        return np.frombuffer(base64.b64decode(self.data), dtype=self.dtype).reshape(self.shape)


class TracedStage(_Part):
    name: str
    parameters: dict[str, Any]
    seconds: float | None = Field(description="null in a golden trace.")
    digest: str = Field(pattern=_SHA256)
    values: list[TracedValue]

    def value(self, name: str) -> TracedValue | None:
        """The value of that name, if the stage has one."""
        return next((value for value in self.values if value.name == name), None)


class TracedArrays(_Part):
    file: str = Field(description="Name of the .npz beside the trace.")
    sha256: str = Field(pattern=_SHA256)


class Trace(_Part):
    """What every stage of a run was given, made and took."""

    format: Literal["poseparity-trace/1"]
    created: str | None = Field(description="UTC, ISO 8601; null in a golden trace.")
    poseparity: str | None = Field(description="Version of the package; null in a golden trace.")
    bundle: TracedBundle
    input: TracedInput
    environment: dict[str, Any] | None = Field(description="verify_env.py's snapshot; null in a golden trace.")
    prediction: TracedPrediction
    warnings: list[TracedWarning] | None = Field(
        None,
        exclude_if=lambda warnings: warnings is None,
        description="What may make the scores wrong, as the answer says it; absent in a golden trace and in those of "
        "releases that did not record it.",
    )
    stages: list[TracedStage]
    arrays: TracedArrays | None = None

    def stage(self, name: str) -> TracedStage | None:
        """The stage of that name, if it ran."""
        return next((stage for stage in self.stages if stage.name == name), None)
