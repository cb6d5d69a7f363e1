"""Who is believed about who the client is."""

from __future__ import annotations

import pytest

from poseparity.errors import SettingsError
from poseparity.settings import load_settings
from poseparity.web.forwarded import Forwarded


def client_of(trusted: str, **environ: str) -> tuple[str, str]:
    """Address and scheme, as the application behind sees them."""
    seen = {}
    app = Forwarded(lambda environ, _: seen.update(environ) or [], trusted)
    app({"wsgi.url_scheme": "http", **environ}, None)
    return seen.get("REMOTE_ADDR", ""), seen["wsgi.url_scheme"]


SAID = {"HTTP_X_FORWARDED_FOR": "203.0.113.9", "HTTP_X_FORWARDED_PROTO": "https"}


@pytest.mark.parametrize(
    "trusted, asks", [("*", "198.51.100.1"), ("10.0.0.0/8,::1", "10.1.2.3"), ("10.0.0.0/8, ::1", "::1")]
)
def test_a_proxy_that_is_trusted_says_who_the_client_is(trusted, asks):
    assert client_of(trusted, REMOTE_ADDR=asks, **SAID) == ("203.0.113.9", "https")


@pytest.mark.parametrize("trusted, asks", [("", "127.0.0.1"), ("127.0.0.1", "10.1.2.3"), ("*", "")])
def test_nobody_else_does(trusted, asks):
    assert client_of(trusted, REMOTE_ADDR=asks, **SAID) == (asks, "http")


def test_the_last_proxy_counts_and_not_what_a_client_told_it():
    said = {**SAID, "HTTP_X_FORWARDED_FOR": "192.0.2.1, 203.0.113.9"}
    assert client_of("*", REMOTE_ADDR="10.0.0.1", **said)[0] == "203.0.113.9"


@pytest.mark.parametrize("value", ["localhost", "10.0.0.1/8", "10.0.0"])
def test_what_is_no_network_is_refused(value, monkeypatch):
    monkeypatch.setenv("POSEPARITY_FORWARDED_ALLOW_IPS", value)
    with pytest.raises(SettingsError, match="POSEPARITY_FORWARDED_ALLOW_IPS"):
        load_settings()
