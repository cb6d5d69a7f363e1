"""The proxy's image: made without a network, run by nobody in particular, and its program."""

from __future__ import annotations

import docker
import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]

PROGRAM = "/opt/poseparity/bin/proxy"
CONFIGURATION = """\
global
    stats socket /run/poseparity/haproxy.sock mode 600 level admin expose-fd listeners
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend public
    bind :8080
    default_backend app
backend app
    default-server check
    server blue 127.0.0.1:1 "${BLUE}"
    server green 127.0.0.1:2 "${GREEN}"
"""


@pytest.fixture(scope="module")
def proxy_image(build) -> dict:
    return build("proxy")


@pytest.fixture
def proxy(engine, proxy_image):
    """A container as the deployment runs it, with a configuration but without a network."""
    script = f"cat >/etc/poseparity/new.cfg <<'END'\n{CONFIGURATION}END\nexec {PROGRAM} run"
    container = engine.containers.run(
        proxy_image["image"],
        entrypoint=["sh", "-c", script],
        detach=True,
        network_mode="none",
        read_only=True,
        tmpfs={"/etc/poseparity": "uid=10001", "/run/poseparity": "uid=10001"},
        cap_drop=["ALL"],
    )
    try:
        for _ in range(20):
            if container.exec_run([PROGRAM, "alive"]).exit_code == 0:
                break
        yield container
    finally:
        container.remove(force=True)


def asked(container, *arguments: str) -> str:
    answer = container.exec_run([PROGRAM, *arguments])
    assert answer.exit_code == 0, answer.output.decode()
    return answer.output.decode().strip()


def state_of(container) -> dict[str, bool]:
    """Colour to whether it may get requests."""
    question = "echo 'show stat app 4 -1' | socat - unix-connect:/run/poseparity/haproxy.sock"
    lines = container.exec_run(["sh", "-c", question]).output.decode().splitlines()
    fields = [line.split(",") for line in lines if line.startswith("app,") and "BACKEND" not in line]
    return {line[1]: line[17] != "MAINT" for line in fields}


def test_an_unchanged_build_is_recognised(build, proxy_image):
    assert build("proxy", "--check")["changed"] is False


def test_nobody_is_root_and_nobody_becomes_it(engine, proxy_image):
    assert engine.images.get(proxy_image["image"]).attrs["Config"]["User"] == "10001:10001"
    find = ["/", "-xdev", "-type", "f", "-perm", "/6000"]
    assert engine.containers.run(proxy_image["image"], find, entrypoint=["find"], user="0", remove=True) == b""


def test_one_version_gets_the_requests_and_that_is_remembered(proxy):
    assert asked(proxy, "live") == "none" and state_of(proxy) == {"blue": False, "green": False}
    for colour, other in (("blue", "green"), ("green", "blue")):
        asked(proxy, "switch", colour)
        assert asked(proxy, "live") == colour and state_of(proxy) == {colour: True, other: False}
        assert asked(proxy, "sessions", colour) == "0"


def test_a_configuration_that_is_wrong_is_refused_and_the_one_before_stays(proxy):
    asked(proxy, "switch", "green")
    assert asked(proxy, "apply") == "unchanged"
    proxy.exec_run(["sh", "-c", "echo nonsense >>/etc/poseparity/new.cfg"])
    answer = proxy.exec_run([PROGRAM, "apply"])
    assert answer.exit_code == 2 and b"nonsense" in answer.output
    assert state_of(proxy)["green"] is True


def test_a_colour_that_is_none_is_refused(proxy):
    answer = proxy.exec_run([PROGRAM, "switch", "red"])
    assert answer.exit_code == 2 and b"the colour is red, expected blue or green" in answer.output


def test_without_a_configuration_it_ends(engine, proxy_image):
    with pytest.raises(docker.errors.ContainerError):
        engine.containers.run(proxy_image["image"], network_mode="none", remove=True)
