"""Gunicorn's settings: `gunicorn -c service/gunicorn.conf.py 'poseparity.web:create_app()'`.

One worker process speaks HTTP. It starts the process that holds the models and computes, see serving/supervisor.py,
and answers health checks whatever that one is at.
"""

import logging
import os
import sys

from poseparity.errors import PoseParityError
from poseparity.numerics import require_processor, unset_pins
from poseparity.serving.logs import logging_config
from poseparity.settings import load_settings


def _settings():
    try:
        return load_settings()
    except PoseParityError as error:
        sys.exit(f"poseparity: {error}\nfix: {error.fix}")


_read = _settings()

bind = f"{_read.host}:{_read.port}"
workers = 1
worker_class = "poseparity.web.worker.Worker"
# Requests that are computed or wait hold a thread each; the others are for health checks, refusals and uploads.
threads = _read.http_threads + _read.requests_at_once + _read.queue_limit
preload_app = False
timeout = _read.timeout_s
graceful_timeout = _read.graceful_timeout_s
keepalive = 5

# Gunicorn's own say on who is believed about https; the addresses in the log are those of poseparity.web.forwarded.
forwarded_allow_ips = _read.forwarded_allow_ips

# A worker's heartbeat is a file that it touches: on a disk it can block, and the root file system may be read-only.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# Gunicorn 25.1 and later would write a control socket into $XDG_RUNTIME_DIR or $HOME.
control_socket_disable = True

# One JSON object a line on standard error. The application logs its requests itself, with their ids.
accesslog = None
logconfig_dict = logging_config(_read.log_level)
loglevel = _read.log_level
logging.captureWarnings(True)
# Lines of FFmpeg's own are no JSON; what it complains of was counted, and told, before a worker decodes anything.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def on_starting(server):
    """Refuse to start on a processor that the pins do not fit, and without them.

    They act when a library loads, so it is too late to set them here.
    """
    try:
        require_processor()
    except PoseParityError as error:
        server.log.critical("%s; fix: %s", error, error.fix)
        sys.exit(1)
    absent = unset_pins(os.environ)
    if absent:
        wanted = " ".join(f"{name}={value!r}" for name, value in absent.items())
        server.log.critical("numerical pins are not set: %s; put lockfiles/numerics.env into the environment", wanted)
        sys.exit(1)


def post_worker_init(worker):
    """Begin to load the models, now that the worker is about to accept requests."""
    worker.wsgi.extensions["inference"].start()
