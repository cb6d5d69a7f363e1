"""POST /v1/predictions."""

from __future__ import annotations

from pathlib import Path, PurePath

from flask import request
from flask_openapi3 import APIBlueprint, Tag, validate_request
from werkzeug.datastructures import FileStorage

from ...inputs import Input, kind_of, parse_box, parse_size
from .. import request_ids
from ..errors import invalid_request
from ..inference import holds_place, inference
from ..schemas import ANY_ERROR, ErrorReply, PredictionForm, PredictionQuery, PredictionReply
from ..uploads import accepts, form_body, path_of, read_csv, receives

blueprint = APIBlueprint(
    "predictions", __name__, url_prefix="/v1", abp_tags=[Tag(name="predictions")], abp_responses=ANY_ERROR
)

_REFUSALS = dict.fromkeys((400, 408, 413, 415, 422, 429, 503, 507), ErrorReply)


@blueprint.post("/predictions", responses={200: PredictionReply, **_REFUSALS})
# Headers are judged before a place is taken, and a place is taken before the body is received.
@accepts("multipart/form-data")
@holds_place
@receives(form_body)
@validate_request()
def predict(form: PredictionForm, query: PredictionQuery):
    """Recognise the action in a video or in a skeleton CSV.

    A video is decoded, its person detected and its skeleton estimated; a skeleton CSV skips those stages. Some requests
    are computed at once, their frames and clips in turn; some wait, and those beyond get 429 with Retry-After.
    """
    given = _input(path_of(_only_upload(form)), form)
    video = form.file.stream if given.kind == "video" else None
    answer = inference().run(given, video, trace=form.trace or query.trace)
    reply = {"request_id": request_ids.current(), **answer.reply}
    if form.csv:
        reply["skeleton_csv"] = answer.csv.decode()
    if answer.trace:
        reply["trace"] = answer.trace
    return reply


def _input(path: Path, form: PredictionForm) -> Input:
    # Some clients send a path, of their own machine.
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
