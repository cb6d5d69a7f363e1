"""POST /v1/predictions."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from flask import request
from flask_openapi3 import APIBlueprint, Tag, validate_request
from werkzeug.datastructures import FileStorage

from ...environment import snapshots
from ...inputs import Input, kind_of, parse_box, parse_size
from ...observe import unobserved
from .. import request_ids
from ..errors import invalid_request
from ..inference import holds_place, slot
from ..schemas import ANY_ERROR, ErrorReply, PredictionForm, PredictionQuery, PredictionReply
from ..uploads import accepts, form_body, path_of, read_csv, receives, settings

if TYPE_CHECKING:
    from ...pipeline import PipelineResult
    from ...trace.tracer import Tracer

blueprint = APIBlueprint(
    "predictions", __name__, url_prefix="/v1", abp_tags=[Tag(name="predictions")], abp_responses=ANY_ERROR
)

_REFUSALS = dict.fromkeys((400, 408, 413, 415, 422, 429, 503, 507), ErrorReply)


@blueprint.post("/predictions", responses={200: PredictionReply, **_REFUSALS})
@accepts("multipart/form-data")
@holds_place
@receives(form_body)
@validate_request()
def predict(form: PredictionForm, query: PredictionQuery):
    """Recognise the action in a video or in a skeleton CSV.

    A video is decoded, its person detected and its skeleton estimated; a skeleton CSV skips those stages. One request
    is answered at a time by each worker; a few wait, and beyond those the answer is 429 with Retry-After.
    """
    given = _input(path_of(_only_upload(form)), form)
    tracer = _tracer() if form.trace or query.trace else None
    result = slot().run(lambda pipeline: pipeline.run(given, observe=tracer or unobserved), given.kind)
    reply = {"request_id": request_ids.current(), **result.to_dict()}
    if form.csv:
        reply["skeleton_csv"] = result.csv.decode()
    if tracer:
        reply["trace"] = _trace(tracer, result, given)
    return reply


def _tracer() -> Tracer:
    from ...trace.tracer import Tracer  # imports torch, which is left to the thread that loads the models

    return Tracer()


def _trace(tracer: Tracer, result: PipelineResult, given: Input) -> dict:
    """The trace, JSON-ready. The environment is described by the first request that wants it, which takes seconds."""
    environment = snapshots.of(settings().bundle)
    return tracer.finish(slot().require_ready(), result, given, environment).model_dump(mode="json")


def _input(path: Path, form: PredictionForm) -> Input:
    kind, name = kind_of(path), PurePath(form.file.filename).name or path.name
    if kind == "csv":
        content = read_csv(path)
        frame_size = parse_size(form.frame_size) if form.frame_size else None
        crop = parse_box(form.crop) if form.crop else None
        return Input(content, kind, name, frame_size, crop)
    for field in ("frame_size", "crop"):
        if getattr(form, field) is not None:
            raise invalid_request(
                f"{field} came with a video",
                fix=f"leave {field} out: it goes with a skeleton CSV, a video brings its own",
            )
    return Input(path, kind, name)


def _only_upload(form: PredictionForm) -> FileStorage:
    sent = sum(len(files) for _, files in request.files.lists())
    if sent != 1 or not isinstance(form.file, FileStorage):
        raise invalid_request(
            f"the form has {sent} files, expected one in the field 'file'",
            fix="send one file, with a file name, in the field 'file'",
        )
    return form.file
