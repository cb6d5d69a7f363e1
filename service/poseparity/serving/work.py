"""What the service's process and the one that computes say to each other: pickled, on sockets of their own."""

from __future__ import annotations

from dataclasses import dataclass

from ..inputs import Input
from ..records import Notice, Prediction


@dataclass(frozen=True)
class Loaded:
    """The models are loaded, and have answered the bundle's demo clip.

    Attributes:
        bundle: its identity.
        pins: as `numerics.enforce` proved them in the process that computes.
    """

    bundle: dict
    pins: list[dict]


@dataclass(frozen=True)
class Predict:
    """One input to answer.

    Attributes:
        given: a video's file goes along as an open file; its path means nothing elsewhere.
        seconds: that the answer may take.
        trace: whether the answer is to have one.
    """

    given: Input
    seconds: float
    trace: bool = False


@dataclass(frozen=True)
class DescribeEnvironment:
    """The environment of the process that computes is asked for.

    Attributes:
        seconds: that the answer may take.
    """

    seconds: float = 300


@dataclass(frozen=True)
class Answer:
    """What a run answers.

    Attributes:
        reply: JSON-ready, see PipelineResult.to_dict.
        notices: of what may make the scores wrong.
        csv: the skeleton's.
        trace: JSON-ready, where it was asked for.
    """

    reply: dict
    prediction: Prediction
    notices: tuple[Notice, ...]
    csv: bytes
    trace: dict | None = None


@dataclass(frozen=True)
class At:
    """How far it is: the stage, and the frame that was decoded last in it."""

    stage: str | None = None
    frame: int | None = None


@dataclass(frozen=True)
class Unexpected:
    """A fault of the program's own, as its traceback tells it."""

    traceback: str
