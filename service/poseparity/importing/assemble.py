"""Put a bundle together, prove that it works, and only then let it appear."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle import MANIFEST, Bundle, load_bundle
from ..engines.program import Installation, Program, find_program
from ..errors import ImportRefused, PoseParityError
from ..golden.record import record_traces
from ..records import Prediction
from ..settings import load_settings
from ..startup import load_pipeline
from . import overrides, parts
from .manifest import dump
from .recogniser import read_recogniser

_BETWEEN = ("crop", "interpolate", "trim")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True)
class Request:
    """What the command line asks for; see command.py.

    Attributes:
        record_label: nobody can say what the clip shows: its label becomes what the model says of it.
    """

    output: Path
    name: str
    version: str
    licence: str
    recogniser_config: Path
    recogniser_checkpoint: Path
    labels: tuple[str, ...]
    summary: str | None = None
    detector: Path | None = None
    pose: Path | None = None
    pose_engine: str | None = None
    like: Path | None = None
    clip: Path | None = None
    clip_label: str | None = None
    record_label: bool = False
    settings: tuple[str, ...] = ()


def import_bundle(request: Request) -> tuple[str, ...]:
    """Write the bundle `request.output`, and return notes on what was chosen, one line each.

    Raises:
        ImportRefused, BundleError: something does not fit; `request.output` does not exist then.
    """
    check_request(request)
    changes = overrides.parse(list(request.settings))
    like = load_bundle(request.like) if request.like else None
    pieces, reference = _parts(request, like, changes)
    tables = _tables(request, pieces, changes, reference)
    overrides.check(tables)
    with _appearing(request.output) as folder:
        tables["weights"] = {name: entry for piece in pieces for name, entry in piece.write(folder).items()}
        _write_manifest(folder, tables)
        prediction, tables["golden"] = _answer(folder)
        if request.record_label:
            tables["demo"] |= {"label": prediction.label, "recorded": True}
        _write_manifest(folder, tables)
        answer = _hold(prediction, tables["demo"])
    notes = [note for piece in pieces for note in piece.notes]
    return (*notes, *_preprocessing(tables), answer)


def check_request(request: Request) -> None:
    """Refuse what is known to be wrong before any file is read.

    Raises:
        ImportRefused: the output cannot be made there, or the name is none.
    """
    if request.output.exists():
        raise ImportRefused(f"{request.output} exists", fix="name a folder that does not: none is overwritten")
    if not request.output.parent.is_dir():
        raise ImportRefused(f"{request.output.parent} is no folder", fix="make it first")
    if not _NAME.fullmatch(request.name):
        raise ImportRefused(f"the name is {request.name!r}", fix="use a-z, 0-9, '.', '_' and '-' in --name")


def _parts(request: Request, like: Bundle | None, changes: dict) -> tuple[list[parts.Part], str]:
    """All parts of the bundle, and what coordinates are relative to."""
    strategy = parts.crop_strategy(like, changes)
    cheap = [
        parts.clip_part(request.clip, _label(request), like, request.labels),
        parts.pose_part(request.pose, like, request.licence, _program(request)),
        parts.between_part(like, strategy),
        *parts.detector_parts(request.detector, like, request.licence, strategy, changes),
    ]
    recogniser = read_recogniser(request.recogniser_config, request.recogniser_checkpoint, request.labels)
    reference = _reference(recogniser.img_shape, changes)
    part = parts.recogniser_part(recogniser, request.recogniser_checkpoint, request.licence)
    return [*cheap, part], reference


def _program(request: Request) -> Program | None:
    """OpenPose's executable, where it is to be the pose engine."""
    return find_program(Installation.of(load_settings())) if request.pose_engine else None


def _reference(img_shape: tuple[int, ...] | None, changes: dict) -> str:
    """What PreNormalize2D divides by: what was set, or the frame, which is what `inference_skeleton` gives it.

    Its own img_shape counts only for annotations that have none. Which of the two the model was trained with, the
    config does not say, and a wrong guess is what gives 50:50.
    """
    if chosen := changes.get("normalise", {}).get("reference"):
        return chosen
    if img_shape is not None:
        raise ImportRefused(
            f"PreNormalize2D has img_shape={img_shape}, which counts only where annotations have no img_shape",
            fix="say what training took coordinates relative to: --set normalise.reference=frame (or crop, skeleton)",
        )
    return "frame"


def _tables(request: Request, pieces: list[parts.Part], changes: dict, reference: str) -> dict[str, Any]:
    """bundle.toml without its weights."""
    sections = {name: table for piece in pieces for name, table in piece.tables.items()}
    sections["normalise"] = {"reference": reference, **sections["normalise"]}
    for section, values in changes.items():
        sections[section] = {**sections[section], **values}
    order = ("detect", "crop", "pose", "quality", "interpolate", "trim", "normalise", "recognise", "demo")
    return {
        "format": 1,
        "name": request.name,
        "version": request.version,
        "summary": request.summary or f"{len(request.labels)} classes: {', '.join(request.labels)}"[:200],
        "licence": request.licence,
        "source": f"{request.recogniser_config.name} and {request.recogniser_checkpoint.name}, imported",
        "labels": {"names": list(request.labels)},
        **{name: _without_none(sections[name]) for name in order if name in sections},
    }


def _preprocessing(tables: dict[str, Any]) -> tuple[str, str]:
    """What became of the poses before training read them stands in no config, so it is said what the bundle does."""
    chosen = [f"{section}.{key}={value}" for section in _BETWEEN for key, value in tables[section].items()]
    return (
        f"coordinates are relative to: {tables['normalise']['reference']}",
        f"no config says what lies between video and model; here it is {', '.join(chosen)}: --set what training had",
    )


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    """An optional parameter that --like leaves open stays open."""
    return {name: value for name, value in table.items() if value is not None}


@contextmanager
def _appearing(output: Path) -> Iterator[Path]:
    """A folder beside `output` that becomes `output` when the block ends well, and is removed when it does not."""
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if output.exists():
            raise ImportRefused(f"{output} has appeared meanwhile", fix="name another folder")
        folder.rename(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_manifest(folder: Path, tables: dict[str, Any]) -> None:
    header = "# Written by `poseparity bundle import`.\n"
    (folder / MANIFEST).write_text(header + dump(tables), encoding="utf-8")


def _answer(folder: Path) -> tuple[Prediction, list[dict]]:
    """Load the written bundle as the service does, let it recognise its clip, and record the clip's golden trace.

    Returns:
        The answer, and the `[[golden]]` entries of bundle.toml.
    """
    pipeline = load_pipeline(load_settings(bundle=folder))
    try:
        (result,), entries = record_traces(pipeline, (pipeline.bundle.demo.clip,))
        return result.prediction, entries
    except PoseParityError as error:
        raise ImportRefused(f"the bundle cannot answer its clip: {error}", fix=error.fix) from error


def _hold(prediction: Prediction, demo: dict[str, Any]) -> str:
    """Hold the bundle to its clip, and say what came of it."""
    score = float(prediction.scores[prediction.index])
    if prediction.label != demo["label"]:
        raise ImportRefused(
            f"the clip is recognised as {prediction.label!r} ({score:.4f}), expected {demo['label']!r}",
            fix="check labels and their order, normalise.reference, and the pose network, or give another --clip",
        )
    seen = f"the clip is recognised as {prediction.label!r} ({score:.4f})"
    if demo.get("recorded"):
        return f"{seen}, which is recorded as its label; nothing was checked: look whether the clip shows that"
    return seen


def _label(request: Request) -> str | None:
    """What the clip is held to. One whose label is yet to be recorded has any until then: it is not read."""
    return request.labels[0] if request.record_label else request.clip_label
