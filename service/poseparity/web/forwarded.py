"""Who the client is, where a proxy that is believed says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address

from werkzeug.middleware.proxy_fix import ProxyFix

from ..settings import trusted_networks


class Forwarded:
    """WSGI middleware: X-Forwarded-For and X-Forwarded-Proto count where the request comes from a trusted address.

    Args:
        app: the application.
        trusted: addresses and networks with commas, as the setting `forwarded_allow_ips` has them.
    """

    def __init__(self, app: Callable, trusted: str) -> None:
        self._app, self._fixed = app, ProxyFix(app, x_for=1, x_proto=1)
        self._trusted = trusted_networks(trusted)

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        believed = self._is_trusted(environ.get("REMOTE_ADDR", ""))
        return (self._fixed if believed else self._app)(environ, start_response)

    def _is_trusted(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:  # a Unix socket has none
            return False
        return any(address in network for network in self._trusted)
