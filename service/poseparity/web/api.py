"""POST /v1/predictions."""

from __future__ import annotations

from pathlib import Path

from flask import request
from flask_openapi3 import APIBlueprint, Tag, validate_request
from werkzeug.datastructures import FileStorage

from ..inputs import kind_of, parse_box, parse_size
from . import request_ids
from .errors import invalid_request
from .inference import holds_place, slot
from .schemas import ANY_ERROR, ErrorReply, PredictionForm, PredictionReply
from .uploads import accepts, form_body, path_of, read_csv, receives

blueprint = APIBlueprint(
    "predictions", __name__, url_prefix="/v1", abp_tags=[Tag(name="predictions")], abp_responses=ANY_ERROR
)

_REFUSALS = dict.fromkeys((400, 408, 413, 415, 422, 429, 503, 507), ErrorReply)


@blueprint.post("/predictions", responses={200: PredictionReply, **_REFUSALS})
@accepts("multipart/form-data")
@holds_place
@receives(form_body)
@validate_request()
def predict(form: PredictionForm):
    """Recognise the action in a video or in a skeleton CSV.

    A video is decoded, its person detected and its skeleton estimated; a skeleton CSV skips those stages. One request
    is answered at a time by each worker; a few wait, and beyond those the answer is 429 with Retry-After.
    """
    path = path_of(_only_upload(form))
    run = _run_video if kind_of(path) == "video" else _run_csv
    result = run(path, form)
    reply = {"request_id": request_ids.current(), **result.to_dict()}
    return reply | {"skeleton_csv": result.csv.decode()} if form.csv else reply


def _run_video(path: Path, form: PredictionForm):
    for name in ("frame_size", "crop"):
        if getattr(form, name) is not None:
            raise invalid_request(
                f"{name} came with a video",
                fix=f"leave {name} out: it goes with a skeleton CSV, a video brings its own",
            )
    return slot().run(lambda pipeline: pipeline.run_video(path))


def _run_csv(path: Path, form: PredictionForm):
    content = read_csv(path)
    frame_size = parse_size(form.frame_size) if form.frame_size else None
    crop = parse_box(form.crop) if form.crop else None
    return slot().run(lambda pipeline: pipeline.run_csv(content, frame_size=frame_size, crop=crop))


def _only_upload(form: PredictionForm) -> FileStorage:
    sent = sum(len(files) for _, files in request.files.lists())
    if sent != 1 or not isinstance(form.file, FileStorage):
        raise invalid_request(
            f"the form has {sent} files, expected one in the field 'file'",
            fix="send one file, with a file name, in the field 'file'",
        )
    return form.file
