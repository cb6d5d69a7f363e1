"""The routes of the service that this one replaces, so that its clients go on working unchanged."""

from __future__ import annotations

import base64
import binascii

from flask_openapi3 import APIBlueprint, Tag, validate_request

from ..errors import InputError, NotReadyError
from ..records import Box, Prediction
from .inference import holds_place, slot
from .schemas import ANY_ERROR, ErrorReply, LegacyHealth, LegacyReply, LegacyRequest
from .uploads import accepts, json_body, limit_body_to_csv, receives

blueprint = APIBlueprint("legacy", __name__, abp_tags=[Tag(name="legacy")], abp_responses=ANY_ERROR)

_REFUSALS = dict.fromkeys((400, 408, 413, 415, 422, 429, 503), ErrorReply)
_TOP = 5


@blueprint.post("/mmaction_stgcn_test", responses={200: LegacyReply, **_REFUSALS})
@accepts("application/json")
@limit_body_to_csv
@holds_place
@receives(json_body)
@validate_request()
def recognise_csv(body: LegacyRequest):
    """Recognise the action in a skeleton CSV that is sent as base64 in JSON."""
    content = _decoded(body.csv_base64)
    crop = Box(*body.crop_bbox) if body.crop_bbox else None
    result = slot().run(lambda pipeline: pipeline.run_csv(content, crop=crop))
    return legacy_reply(result.prediction)


@blueprint.get("/health", responses={200: LegacyHealth})
def health():
    """The process is alive; `ready` says whether it can answer yet. /readyz says why not."""
    try:
        slot().require_ready()
    except NotReadyError:
        return {"status": "ok", "ready": False}
    return {"status": "ok", "ready": True}


def legacy_reply(prediction: Prediction) -> dict:
    """The answer in the replaced service's words. `accuracy` is left out: no label came with the recording."""
    probabilities = prediction.scores.tolist()
    ranked = sorted(range(len(probabilities)), key=lambda index: -probabilities[index])
    value = prediction.index == 1 if len(prediction.labels) == 2 else prediction.label
    return {
        "message": "OK",
        "result": {"num_samples": 1, "predictions": [value]},
        "parsed": {
            "pred_index": prediction.index,
            "prediction": value,
            "probs": probabilities,
            "confidence": probabilities[prediction.index],
            "topk": [
                {"index": index, "label": prediction.labels[index], "prob": probabilities[index]}
                for index in ranked[:_TOP]
            ],
        },
    }


def _decoded(text: str) -> bytes:
    try:
        # Some encoders break their lines; any other foreign character means that something was damaged on the way.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(
            f"csv_base64 is not base64: {error}", code="bad-base64", fix="encode the CSV's bytes as standard base64"
        ) from error
