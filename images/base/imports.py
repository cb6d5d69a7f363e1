"""Imports what the service imports, so that a build fails when a package or a shared library is missing."""

import importlib

MODULES = (
    "cv2",
    "flask_openapi3",
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread",
    "mmaction.datasets.transforms",
    "mmaction.registry",
    "mmcv",
    "mmengine",
    "numpy",
    "prometheus_client",
    "pydantic_settings",
    "safetensors.torch",
    "scipy",
    "structlog",
    "torch",
    "torch._dynamo",
    "ultralytics.models.yolo.detect",
    "ultralytics.models.yolo.pose",
    "ultralytics.nn.tasks",
)

for name in MODULES:
    importlib.import_module(name)
