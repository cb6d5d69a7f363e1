"""Put a bundle together, prove that it works, and only then let it appear."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle.bundle import MANIFEST, Bundle, load_bundle
from ..bundle.toml import dump
from ..engines.openpose_binary.program import Installation, find_program
from ..errors import ImportRefused, PoseParityError
from ..golden.record import record_traces
from ..pipeline import PipelineResult
from ..settings import load_settings
from ..stages.base import BY_TABLE, CROP, INTERPOLATE, NORMALISE, TRIM
from ..startup import load_pipeline
from . import overrides, parts
from .preprocessing import Seen, decide
from .readers.mmaction2 import Recogniser, read_recogniser
from .readers.training_data import read_training_data

_BETWEEN = (CROP.table, INTERPOLATE.table, TRIM.table)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True)
class Request:
    """What the command line asks for; see command.py.

    Attributes:
        record_label: nobody can say what the clip shows: its label becomes what the model says of it.
        settings: SECTION.KEY=VALUE, see overrides.py.
        training_data: a file that training read, to find out what the model saw.
        replace: a bundle at `output` makes room once the new one is done.
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
    training_data: Path | None = None
    replace: bool = False


def import_bundle(request: Request, tell: Callable[[str], None] | None = None) -> tuple[str, ...]:
    """Write the bundle `request.output`, and return notes on what was chosen, one line each.

    Args:
        tell: is given each note as soon as it is known: whoever's bundle is refused needs them most.

    Raises:
        ImportRefused, BundleError: something does not fit; `request.output` is as it was before.
    """
    notes: list[str] = []

    def note(line: str) -> None:
        notes.append(line)
        if tell:
            tell(line)

    check_request(request)
    changes = overrides.parse(list(request.settings))
    like = load_bundle(request.like, load_settings().bundle_signers) if request.like else None
    data = read_training_data(request.training_data) if request.training_data else None
    pieces, recogniser = _parts(request, like, changes)
    for line in (line for piece in pieces for line in piece.notes):
        note(line)
    seen = decide(recogniser.transforms, changes.get(NORMALISE.table, {}), data)
    tables = _tables(request, pieces, changes, seen)
    overrides.check(tables)
    for line in (*seen.notes, *_unchecked(tables, request.labels, recogniser)):
        note(line)
    with _appearing(request.output, request.replace) as folder:
        tables["weights"] = {name: entry for piece in pieces for name, entry in piece.write(folder).items()}
        _write_manifest(folder, tables)
        result, tables["golden"] = _answer(folder)
        if request.record_label:
            tables["demo"] |= {"label": result.prediction.label, "recorded": True}
        for line in _frame_size(tables, result):
            note(line)
        _write_manifest(folder, tables)
        note(_hold(result, tables["demo"]))
    return tuple(notes)


def check_request(request: Request) -> None:
    """Refuse what is known to be wrong before any file is read.

    Raises:
        ImportRefused: the output cannot be made there, or the name is none.
    """
    if request.output.exists() and not request.replace:
        raise ImportRefused(f"{request.output} exists", fix="name a folder that does not, or give --replace")
    if request.output.exists() and not (request.output / MANIFEST).is_file():
        raise ImportRefused(
            f"{request.output} exists and is no bundle: it holds no {MANIFEST}", fix="--replace takes bundles only"
        )
    if not request.output.parent.is_dir():
        raise ImportRefused(f"{request.output.parent} is no folder", fix="make it first")
    if not _NAME.fullmatch(request.name):
        raise ImportRefused(f"the name is {request.name!r}", fix="use a-z, 0-9, '.', '_' and '-' in --name")


def _parts(request: Request, like: Bundle | None, changes: dict) -> tuple[list[parts.Part], Recogniser]:
    """All parts of the bundle, and the recogniser that one of them is made of."""
    strategy = parts.crop_strategy(like, changes)
    # A clip whose label is yet to be recorded has any until then: it is not read.
    label = request.labels[0] if request.record_label else request.clip_label
    clip = parts.clip_part(request.clip, label, like, request.labels)
    program = find_program(Installation.of(load_settings())) if request.pose_engine else None
    cheap = [
        clip,
        parts.pose_part(request.pose, like, request.licence, program),
        parts.between_part(like, strategy, changes),
        *parts.detector_parts(request.detector, like, request.licence, strategy, changes),
    ]
    recogniser = read_recogniser(request.recogniser_config, request.recogniser_checkpoint, request.labels)
    part = parts.recogniser_part(recogniser, request.recogniser_checkpoint, request.licence)
    return [*cheap, part], recogniser


def _tables(request: Request, pieces: list[parts.Part], changes: dict, seen: Seen) -> dict[str, Any]:
    """bundle.toml without its weights."""
    sections = {name: table for piece in pieces for name, table in piece.tables.items()}
    sections[NORMALISE.table] = {**seen.normalise, **sections[NORMALISE.table]}
    if seen.frame_size and seen.normalise["reference"] == "frame":
        sections["input"] = {"frame_size": [seen.frame_size.width, seen.frame_size.height]}
    for section, values in changes.items():
        sections[section] = overrides.with_changes(sections.get(section, {}), values)
    # An optional parameter that --like leaves open stays open.
    said = {section: {key: value for key, value in table.items() if value is not None}
            for section, table in sections.items()}  # fmt: skip
    order = ("input", *BY_TABLE, "demo")
    return {
        "format": 1,
        "name": request.name,
        "version": request.version,
        "summary": request.summary or f"{len(request.labels)} classes: {', '.join(request.labels)}"[:200],
        "licence": request.licence,
        "source": f"{request.recogniser_config.name} and {request.recogniser_checkpoint.name}, imported",
        "labels": {"names": list(request.labels)},
        **{name: said[name] for name in order if name in said},
    }


def _unchecked(tables: dict[str, Any], labels: tuple[str, ...], recogniser: Recogniser) -> Iterator[str]:
    """What only a person can hold against the training."""
    # What became of the poses before training read them stands in no config, so it is said what the bundle does.
    chosen = [f"{section}.{key}={value}" for section in _BETWEEN for key, value in tables[section].items()]
    yield f"no config says what lies between video and model; here it is {', '.join(chosen)}: --set what training had"
    # A model of two classes whose labels stand the wrong way round answers well, and says the opposite.
    if len(labels) == 2:
        yield (
            f"labels in the model's order: index 0 is {labels[0]!r}, index 1 is {labels[1]!r}; older clients get true "
            f"for {labels[1]!r}. If training had them the other way round: --labels {labels[1]},{labels[0]}"
        )
    step = next(step for step in recogniser.transforms if step["type"] == "FormatGCNInput")
    if (people := step.get("num_person", 2)) > 1:  # MMAction2's own default
        yield (
            f"the model takes up to {people} people (FormatGCNInput has num_person={people}); a bundle gives it one "
            "person's skeleton and leaves the others empty: classes of two people together are not told rightly"
        )


def _frame_size(tables: dict[str, Any], result: PipelineResult) -> Iterator[str]:
    """Neither a skeleton CSV nor an older client says its frame: where scores depend on it, the bundle has one."""
    if tables[NORMALISE.table]["reference"] != "frame":
        return
    if "input" not in tables:
        tables["input"] = {"frame_size": [result.video.size.width, result.video.size.height]}
    size = "x".join(map(str, tables["input"]["frame_size"]))
    yield f"a skeleton CSV that comes without a frame size is taken to be of {size}: --frame-size says otherwise"


@contextmanager
def _appearing(output: Path, replace: bool) -> Iterator[Path]:
    """A folder beside `output` that becomes `output` when the block ends well, and is removed when it does not."""
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if output.exists() and not replace:
            raise ImportRefused(f"{output} has appeared meanwhile", fix="name another folder")
        with _out_of_the_way(output):
            folder.rename(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _out_of_the_way(output: Path) -> Iterator[None]:
    """Move what is there aside; it comes back when the block fails, and goes when it ends well."""
    if not output.exists():
        yield
        return
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.old.", dir=output.parent) as aside:
        old = output.rename(Path(aside) / output.name)
        try:
            yield
        except OSError:
            old.rename(output)
            raise


def _write_manifest(folder: Path, tables: dict[str, Any]) -> None:
    header = "# Written by `poseparity bundle import`.\n"
    (folder / MANIFEST).write_text(header + dump(tables), encoding="utf-8")


def _answer(folder: Path) -> tuple[PipelineResult, list[dict]]:
    """Load the written bundle as the service does, let it recognise its clip, and record the clip's golden trace.

    Returns:
        The answer, and the `[[golden]]` entries of bundle.toml.
    """
    pipeline = load_pipeline(load_settings(bundle=folder, bundle_signers=None))  # it is signed once it is done
    try:
        (result,), entries = record_traces(pipeline, (pipeline.bundle.demo.clip,))
        return result, entries
    except PoseParityError as error:
        raise ImportRefused(f"the bundle cannot answer its clip: {error}", fix=error.fix) from error


def _hold(result: PipelineResult, demo: dict[str, Any]) -> str:
    """Hold the bundle to its clip, and say what came of it."""
    prediction = result.prediction
    score = float(prediction.scores[prediction.index])
    if prediction.label != demo["label"]:
        raise ImportRefused(
            f"the clip is recognised as {prediction.label!r} ({score:.4f}), expected {demo['label']!r}",
            fix="check, in this order: the labels and their order; what the model saw in training (--coordinates, "
            "--confidence, --reference); trimming, interpolation and the crop (--set trim.method=none, "
            "interpolate.method=none, crop.padding=0.10); the pose network. Or give another --clip",
        )
    seen = f"the clip is recognised as {prediction.label!r} ({score:.4f})"
    if demo.get("recorded"):
        return f"{seen}, which is recorded as its label; nothing was checked: look whether the clip shows that"
    return seen
