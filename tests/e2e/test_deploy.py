"""From this checkout to a service that answers the demo clip, and that a second run leaves alone."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time

import pytest
import requests

from tests.e2e.client import post_file
from tests.e2e.containers import proxy
from tests.e2e.playbooks import CONTAINER, OWN, PORT, ROOT, URL, playbook, run

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ENTRYPOINT = "/opt/poseparity/bin/entrypoint"


@pytest.fixture(scope="module")
def local(tmp_path_factory, demo_clip) -> tuple[dict, bytes]:
    """The answer and the skeleton CSV that `poseparity run` computes in the local environment."""
    csv = tmp_path_factory.mktemp("local") / "skeleton.csv"
    command = [ROOT / ".venv/runtime/bin/poseparity", "run", demo_clip, "--csv", csv, "--json"]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(answer), csv.read_bytes()


def test_the_demo_s_action_is_printed(deployment, demo_bundle):
    answer = next(line for line in deployment.output.splitlines() if line.startswith(demo_bundle.demo.label))
    assert URL in answer and "bit for bit" in answer


def test_a_second_run_changes_nothing(deployment, container):
    started = container.attrs["State"]["StartedAt"]
    second = run([ROOT / "scripts/deploy", *OWN])
    assert second.status == 0, second.output
    assert second.changed == 0, second.output
    container.reload()
    assert container.attrs["State"]["StartedAt"] == started


def test_check_mode_changes_nothing(deployment, container):
    result = playbook("deploy", "--check", *OWN)
    assert result.status == 0, result.output
    assert result.changed == 0, result.output
    assert "passed before" in result.output and "Replay the clips inside the image" not in result.output
    container.reload()
    assert container.status == "running"


def test_check_mode_foresees_another_setting(deployment, container):
    result = playbook("deploy", "--check", *OWN, "-e", '{"poseparity_settings": {"log_level": "debug"}}')
    assert result.status == 0, result.output
    # The new version starts, gets the requests, and the one before goes.
    assert result.changed == 3, result.output
    assert "POSEPARITY_LOG_LEVEL=debug" not in container.attrs["Config"]["Env"]


def test_the_service_computes_what_the_local_environment_computes(deployment, demo_clip, local):
    status, answer = post_file(URL, demo_clip)
    assert status == 200
    assert answer["prediction"] == local[0]["prediction"]
    assert answer["skeleton_csv_sha256"] == hashlib.sha256(local[1]).hexdigest()


def test_the_skeleton_csv_has_the_same_bytes_in_the_container(container, local):
    clip = "/opt/poseparity/service/bundles/demo/clip.mp4"
    done = container.exec_run([ENTRYPOINT, "poseparity", "run", clip, "--csv", "/tmp/demo.csv"])
    assert done.exit_code == 0, done.output
    assert container.exec_run(["cat", "/tmp/demo.csv"]).output == local[1]


def test_the_containers_can_do_little(container, engine):
    for each in (container, proxy(engine)):
        settings = each.attrs["HostConfig"]
        assert settings["ReadonlyRootfs"] is True
        assert [name.lower() for name in settings["CapDrop"]] == ["all"] and not settings["CapAdd"]
        assert settings["SecurityOpt"] == ["no-new-privileges:true"]
        assert settings["RestartPolicy"]["Name"] == "unless-stopped"
        assert each.attrs["Config"]["User"].split(":")[0] not in ("", "0", "root")


def test_only_the_proxy_is_reached_from_outside_and_nobody_reaches_out(container, engine):
    assert not container.attrs["HostConfig"]["PortBindings"]
    published = proxy(engine).attrs["HostConfig"]["PortBindings"]
    assert published == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(PORT)}]}
    (network,) = container.attrs["NetworkSettings"]["Networks"]
    assert engine.networks.get(network).attrs["Internal"] is True
    code = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"
    answer = container.exec_run(["python", "-c", code])
    assert answer.exit_code != 0 and any(words in answer.output for words in (b"is unreachable", b"timed out"))


def test_no_program_of_the_images_makes_anybody_somebody_else(container, engine):
    for each in (container, proxy(engine)):
        found = each.exec_run(["find", "/", "-xdev", "-type", "f", "-perm", "/6000"], user="0", stderr=False)
        assert found.output == b""


def test_the_log_names_the_client_and_not_what_he_says(container, engine):
    """Asked from the server itself, the client is the server's address in Docker's network."""
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Request-Id": "who-is-it"}
    assert requests.get(f"{URL}/v1/no-such-route", headers=headers, timeout=10).status_code == 404
    edge = engine.networks.get(f"{CONTAINER}-edge").attrs["IPAM"]["Config"][0]["Gateway"]
    for each in (container, proxy(engine)):
        line = logged(each, "who-is-it")
        assert line["client"] == edge and line["status"] == 404


def logged(container, request_id: str) -> dict:
    """What a container's log says of a request; it is written after the answer, which may be here first."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lines = [json.loads(line) for line in container.logs().splitlines() if line.startswith(b"{")]
        for line in lines:
            if line.get("request_id") == request_id:
                return line
        time.sleep(0.1)
    raise AssertionError(f"{container.name} wrote no line of {request_id}: {container.logs(tail=20).decode()}")


def test_the_app_image_is_at_most_1_6_gb(container):
    assert container.image.attrs["Size"] <= 1.6e9
