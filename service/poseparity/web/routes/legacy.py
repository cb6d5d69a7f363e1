"""The routes of the service that this one replaces, so that its clients go on working unchanged."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import asdict

from flask_openapi3 import APIBlueprint, Tag, validate_request

from ...errors import InputError, NotReadyError
from ...inputs import Input
from ...records import Box, Notice, Prediction, Size
from ..errors import SHOWN
from ..inference import holds_place, inference
from ..schemas import ANY_ERROR, ErrorReply, LegacyHealth, LegacyReply, LegacyRequest
from ..uploads import accepts, json_body, limit_body_to_csv, receives

blueprint = APIBlueprint("legacy", __name__, abp_tags=[Tag(name="legacy")], abp_responses=ANY_ERROR)

_REFUSALS = dict.fromkeys((400, 408, 413, 415, 422, 429, 503), ErrorReply)
_TOP = 5  # as many as the replaced service gave
_NAMED = 10  # unknown keys that a warning names at most


@blueprint.post("/mmaction_stgcn_test", responses={200: LegacyReply, **_REFUSALS})
@accepts("application/json")
@limit_body_to_csv
@holds_place
@receives(json_body)
@validate_request()
def recognise_csv(body: LegacyRequest):
    """Recognise the action in a skeleton CSV that is sent as base64 in JSON."""
    content = _decoded(body.csv_base64)
    given = Input(
        content,
        "csv",
        frame_size=Size(*body.frame_size) if body.frame_size else None,
        crop=Box(*body.crop_bbox) if body.crop_bbox else None,
        assume_crop=True,  # the field was always optional, whatever the bundle
    )
    answer = inference().run(given)
    notices = list(answer.notices)
    if names := body.unknown_keys:
        listed = ", ".join(repr(name[:SHOWN]) for name in names[:_NAMED]) + ", ..." * (len(names) > _NAMED)
        known = ", ".join(LegacyRequest.model_fields)
        text = f"keys of the request that are not used: {listed}; known are {known}"
        notices.insert(0, Notice("unknown-keys", text))
    return legacy_reply(answer.prediction, notices)


@blueprint.get("/health", responses={200: LegacyHealth})
def health():
    """The process is alive; `ready` says whether it can answer yet. /readyz says why not."""
    try:
        inference().require_ready()
    except NotReadyError:
        return {"status": "ok", "ready": False}
    return {"status": "ok", "ready": True}


def legacy_reply(prediction: Prediction, notices: Iterable[Notice] = ()) -> dict:
    """The answer in the replaced service's words; docs/legacy-clients.md says what each means.

    `accuracy` is left out: no label came with the recording.
    """
    probabilities = prediction.scores.tolist()
    # Stable: of equals the first, as `index` has it.
    ranked = sorted(range(len(probabilities)), key=lambda index: -probabilities[index])
    index, two_classes = prediction.index, len(probabilities) == 2
    return {
        "message": "OK",
        "result": {"num_samples": 1, "predictions": [index == 1 if two_classes else prediction.label]},
        "parsed": {
            "status": "ok",
            "orig_pred_index": index,
            "pred_index": index,
            "prediction": prediction.label,
            "raw_probs": probabilities,
            "probs": probabilities,
            **({"binary_probs": probabilities} if two_classes else {}),
            "confidence": probabilities[index],
            "reduced_confidence": probabilities[index],
            "topk": [
                {"index": rank, "label": prediction.labels[rank], "prob": probabilities[rank]} for rank in ranked[:_TOP]
            ],
        },
        "warnings": [asdict(notice) for notice in notices],
    }


def _decoded(text: str) -> bytes:
    try:
        # Some encoders break their lines; any other foreign character means that something was damaged on the way.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(
            f"csv_base64 is not base64: {error}", code="bad-base64", fix="encode the CSV's bytes as standard base64"
        ) from error
