"""The HTTP service: thin routes around the process that computes. `create_app` is all that others need."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from ..settings import Settings

__all__ = ["create_app"]


def create_app(settings: Settings | None = None) -> Flask:
    """Build the service; see `poseparity.web.app.create_app`."""
    # Imported late: Gunicorn's master reads a module of this package, and must not load NumPy before it forks.
    from .app import create_app as build

    return build(settings)
