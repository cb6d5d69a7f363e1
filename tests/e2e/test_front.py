"""What is in front of the service: nothing, the proxy with a certificate made for it, the proxy with the user's own."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.conftest import DEMO_BUNDLE
from tests.e2e.containers import live, proxy
from tests.e2e.playbooks import CONTAINER, PORT, Run, playbook

pytestmark = [pytest.mark.docker, pytest.mark.slow]

NAME = f"{CONTAINER}-front"
OWN_PORT = PORT + 1
OPTIONS = ("-e", f"poseparity_container_name={NAME}", "-e", f"poseparity_port={OWN_PORT}", "-e", "poseparity_lanes=1",
           "-e", "poseparity_watch_s=1")  # fmt: skip
REACHES_OUT = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"


@pytest.fixture
def removed(deployment, engine) -> Iterator[None]:
    """The images are there, and what a test deploys beside them is removed after it, but for the images."""
    yield
    image = live(engine, CONTAINER).image  # the same: nothing but settings differs
    gone = playbook("destroy", *OPTIONS)
    assert gone.status == 0 and gone.changed == 3, gone.output
    assert "Kept: the images" in " ".join(gone.output.split())
    for left in (engine.containers.list(all=True), engine.networks.list(), engine.volumes.list()):
        assert not [each.name for each in left if each.name.startswith(NAME)]
    assert engine.images.get(image.id)


@pytest.fixture
def own_certificate(engine, tmp_path) -> tuple[Path, Path]:
    """A certificate of the user's, with its key, made by the OpenSSL of the proxy's image."""
    command = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=own", "-addext",
               "subjectAltName=IP:127.0.0.1", "-keyout", "/dev/stdout"]  # fmt: skip
    pem = engine.containers.run(proxy(engine).image.id, command, entrypoint="openssl", remove=True, stderr=False)
    key, mark, rest = pem.decode().partition("-----END PRIVATE KEY-----\n")
    (tmp_path / "key.pem").write_text(key + mark)
    (tmp_path / "certificate.pem").write_text(rest)
    return tmp_path / "certificate.pem", tmp_path / "key.pem"


def deploy(*options: str, **variables: object) -> Run:
    return playbook("deploy", *OPTIONS, *options, "-e", json.dumps(variables))


def predicted(url: str, **options) -> dict:
    """The answer to the demo bundle's skeleton CSV."""
    with (DEMO_BUNDLE / "gaps.csv").open("rb") as stream:
        answer = requests.post(f"{url}/v1/predictions", files={"file": stream}, timeout=60, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()["prediction"]


@contextmanager
def asked_all_the_time(url: str) -> Iterator[list[int | str]]:
    """What /healthz answers, each time on a new connection."""
    answers: list[int | str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.1):
            try:
                answers.append(requests.get(url, timeout=30, verify=False).status_code)
            except requests.RequestException as error:
                answers.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_service_moves_behind_the_proxy_and_changes_its_certificate(removed, engine, own_certificate, tmp_path):
    # Without a proxy the service publishes the port itself.
    first = deploy(poseparity_proxy="none")
    assert first.status == 0, first.output
    alone = engine.containers.get(NAME)
    expected = predicted(f"http://127.0.0.1:{OWN_PORT}")
    assert alone.exec_run(["python", "-c", REACHES_OUT]).exit_code != 0
    assert deploy(poseparity_proxy="none").changed == 0

    # What cannot serve does not take its place.
    bad = deploy(poseparity_proxy="none", poseparity_settings={"max_frames": 50})
    assert bad.status != 0 and "The version before serves on" in bad.message, bad.output
    assert engine.containers.get(NAME).id == alone.id and predicted(f"http://127.0.0.1:{OWN_PORT}") == expected

    # The proxy takes the port over, with a certificate that names this server.
    behind = deploy(poseparity_tls=True)
    assert behind.status == 0, behind.output
    url, made = f"https://127.0.0.1:{OWN_PORT}", tmp_path / "made.pem"
    made.write_text(ssl.get_server_certificate(("127.0.0.1", OWN_PORT)))
    assert predicted(url, verify=str(made)) == expected
    assert not [each for each in engine.containers.list(all=True) if each.name == NAME]
    with pytest.raises(requests.exceptions.SSLError):
        predicted(url)

    # Another certificate costs no request, and the version that serves stays.
    serving, (certificate, key) = live(engine, NAME), own_certificate
    with asked_all_the_time(f"{url}/healthz") as answers:
        renewed = deploy(poseparity_tls_certificate=str(certificate), poseparity_tls_key=str(key))
    assert renewed.status == 0, renewed.output
    assert len(answers) > 20 and set(answers) == {200}, answers
    assert predicted(url, verify=str(certificate)) == expected
    assert live(engine, NAME).id == serving.id


def test_a_deployment_may_insist_on_a_signed_bundle(deployment, tmp_path):
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen (Debian's openssh-client): a deployment that insists on a signature was NOT tested")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    signers = tmp_path / "signers"
    signers.write_text("me " + (tmp_path / "key.pub").read_text())
    refused = deploy("--check", poseparity_bundle_signers=str(signers))
    assert refused.status != 0 and "is not signed" in refused.message, refused.output
    absent = deploy("--check", poseparity_bundle_signers=str(tmp_path / "absent"))
    assert absent.status != 0 and "expected a file on the controller" in absent.message, absent.output
