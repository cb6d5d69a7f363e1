"""The application factory."""

from __future__ import annotations

from flask_openapi3 import Info, OpenAPI

from .. import __version__
from ..settings import Settings, load_settings
from . import errors, headers, logs, request_ids, uploads
from .forwarded import Forwarded
from .inference import Inference
from .routes import health, legacy
from .routes import predictions as api
from .schemas import ErrorReply

_FORM_PARTS = 16  # Flask's own limit on the text in them, MAX_FORM_MEMORY_SIZE, is 500,000 bytes


def create_app(settings: Settings | None = None) -> OpenAPI:
    """Build the service.

    Nothing is loaded here: `app.extensions["inference"].start()` loads the models in the background. Gunicorn does
    that in each worker, after the fork (service/gunicorn.conf.py).

    Args:
        settings: the service's settings; read from the environment when None.

    Raises:
        SettingsError: see `load_settings`.
    """
    settings = settings or load_settings()
    app = OpenAPI(
        "poseparity",
        info=Info(title="poseparity", version=__version__, summary="Skeleton action recognition, bit for bit."),
        validation_error_status="default",  # see schemas.ANY_ERROR
        validation_error_model=ErrorReply,
        validation_error_callback=errors.refuse_invalid,
        doc_ui=False,
        static_folder=None,
    )
    app.config.update(
        POSEPARITY=settings,
        MAX_CONTENT_LENGTH=settings.max_upload_bytes,
        MAX_FORM_PARTS=_FORM_PARTS,
    )
    app.json.sort_keys = False  # people read answers in the order in which they are put together
    for extension in (logs, request_ids, headers, errors, uploads, Inference(settings)):
        extension.init_app(app)
    for routes in (api, legacy, health):
        app.register_api(routes.blueprint)
    app.wsgi_app = Forwarded(app.wsgi_app, settings.forwarded_allow_ips)
    return app
