"""Health, readiness, the environment and the API's own description."""

from __future__ import annotations

from flask import current_app
from flask_openapi3 import APIBlueprint, Tag

from ... import __version__
from ...errors import NotOffered
from ..inference import inference
from ..schemas import ANY_ERROR, Alive, EnvironmentReply, ErrorReply, Ready
from ..uploads import settings

blueprint = APIBlueprint("health", __name__, abp_tags=[Tag(name="health")], abp_responses=ANY_ERROR)


@blueprint.get("/healthz", responses={200: Alive})
def healthz():
    """The service is alive: it answers while models are loaded and while others are answered."""
    return {"status": "alive"}


@blueprint.get("/readyz", responses={200: Ready, 503: ErrorReply})
def readyz():
    """The models are loaded and have answered the bundle's demo clip, and a request can be taken; 503 says why not.

    It cannot be taken ("busy") while requests hold all places, as a prediction would be answered 429.
    """
    loaded = inference().require_ready()
    inference().require_place()
    return {"status": "ready", "bundle": loaded.bundle}


@blueprint.get("/v1/environment", responses={200: EnvironmentReply, 403: ErrorReply})
def environment():
    """The environment that computes, as `verify_env.py compare` reads it, and the pins that its process proved.

    The first call takes some seconds, during which the other routes go on answering. A service that listens for others
    than its own machine answers 403, unless its setting environment_route is true: packages and host name are told.
    """
    if not settings().tells_its_environment:
        raise NotOffered(
            "this service does not tell its environment over the network",
            fix="ask where it listens on 127.0.0.1, or set POSEPARITY_ENVIRONMENT_ROUTE to true",
        )
    pins = inference().require_ready().pins
    return inference().environment() | {"service": {"version": __version__, "pins": pins}}


@blueprint.get("/openapi.json", doc_ui=False)
def openapi():
    document = current_app.api_doc
    # The extension writes null for what was not given, which OpenAPI does not allow.
    parts = {name: part for name, part in document["components"].items() if part is not None}
    return {**document, "components": parts}
