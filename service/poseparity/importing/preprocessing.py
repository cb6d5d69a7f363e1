"""What the model saw of a skeleton in training: the part of `[normalise]` that stands in no config.

It is said on the command line, or found in a file that training read, or, where the config has PreNormalize2D, taken to
be what `inference_skeleton` does. Whoever trained without PreNormalize2D is asked: a wrong guess there gives 50:50.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import ImportRefused
from ..records import Size
from .readers.training_data import TrainingData

# MMAction2's `inference_skeleton`: what a bundle does that says nothing of these.
DEFAULTS = {"coordinates": "pixels", "confidence": "estimated", "precision": "float16"}
_MMACTION2_SHAPE = (1080, 1920)  # PreNormalize2D's default, which counts where annotations have no img_shape
_ASK = (
    "say which coordinates training had: --coordinates pixels, unit ([0, 1]) or signed ([-1, 1]), and --confidence "
    "estimated or ones, --precision float16 or float32, --reference frame, crop or WIDTHxHEIGHT; or let them be found: "
    "--training-data FILE.pkl or FILE.csv"
)


@dataclass(frozen=True)
class Seen:
    """What the model saw.

    Attributes:
        normalise: keys of `[normalise]`.
        frame_size: of the data set, where it has one size; None where it is not known.
        notes: what was found and what was taken for granted, one line each.
    """

    normalise: dict[str, Any]
    frame_size: Size | None
    notes: tuple[str, ...]


def decide(transforms: list[dict], chosen: dict[str, Any], data: TrainingData | None) -> Seen:
    """Put together what was said, what was found and what may be taken for granted.

    Args:
        transforms: of the config's test pipeline.
        chosen: keys of `[normalise]` that the command line sets.
        data: what --training-data holds.

    Raises:
        ImportRefused: it is not known, or two of the sources contradict each other.
    """
    centring = next((step for step in transforms if step["type"] == "PreNormalize2D"), None)
    found = _found(data, centring) if data else {}
    _check_agreement(data, found, chosen)
    known = {**found, **chosen}
    if centring is None and "coordinates" not in known:
        raise ImportRefused(
            "the test pipeline has no PreNormalize2D, so the model sees coordinates as training stored them, and no "
            "config says how",
            fix=_ASK,
        )
    reference = _reference(centring, known)
    normalise = {"reference": reference, **DEFAULTS, **known}
    granted = [f"{name}={normalise[name]}" for name in ("reference", *DEFAULTS) if name not in known]
    notes = [str(data)] if data else []
    words = {
        name: "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for name, value in normalise.items()
    }
    notes.append("the model sees: " + ", ".join(f"{name}={text}" for name, text in words.items()))
    if granted:
        notes.append(
            f"of these nobody has said {', '.join(granted)}, as inference_skeleton has them; --reference, "
            "--coordinates, --confidence and --precision say otherwise, --training-data FILE finds out"
        )
    return Seen(normalise, data.size if data else None, tuple(notes))


def _found(data: TrainingData, centring: dict | None) -> dict[str, Any]:
    """What the file shows for certain."""
    found: dict[str, Any] = {"coordinates": data.coordinates, "confidence": "ones" if data.ones else "estimated"}
    if data.precision:
        found["precision"] = data.precision
    if data.sizes == {None}:  # no annotation says a size, and a skeleton CSV cannot
        if centring is not None and data.precision:
            height, width = centring.get("img_shape", _MMACTION2_SHAPE)
            found |= {"reference": "fixed", "size": [width, height]}
    elif data.coordinates != "pixels" and data.size:
        # Shares of one size for all: what they were divided by cannot be seen in them, but MMAction2 was told this.
        found |= {"reference": "fixed", "size": [data.size.width, data.size.height]}
    elif None not in data.sizes:
        found["reference"] = "frame"
    return found


def _check_agreement(data: TrainingData | None, found: dict[str, Any], chosen: dict[str, Any]) -> None:
    """Range and precision are plain to see; what the reference was, a person may know better than the file."""
    for name in ("coordinates", "precision"):
        if name in chosen and name in found and chosen[name] != found[name]:
            raise ImportRefused(
                f"--{name} {chosen[name]} is given, and {data} has {found[name]!r}",
                fix=f"leave --{name} out, or give the file that this model was trained on",
            )
    if chosen.get("confidence") == "estimated" and found.get("confidence") == "ones":
        raise ImportRefused(
            f"--confidence estimated is given, and {data}",
            fix="leave --confidence out, or give the file that this model was trained on",
        )
    if "reference" in chosen:
        found.pop("size", None)


def _reference(centring: dict | None, known: dict[str, Any]) -> str:
    """What PreNormalize2D divides by: what was said or found, or the frame, which `inference_skeleton` gives it.

    Its own img_shape counts only for annotations that have none. Which of the two the model was trained with, the
    config does not say, and a wrong guess is what gives 50:50.
    """
    if "reference" in known:
        return known["reference"]
    shape = (centring or {}).get("img_shape")
    if shape is not None:
        raise ImportRefused(
            f"PreNormalize2D has img_shape={tuple(shape)}, which counts only where annotations have no img_shape",
            fix="say what training took coordinates relative to: --reference frame, crop, skeleton or WIDTHxHEIGHT",
        )
    return "frame"
