"""From this checkout to a service that answers the demo clip, and that a second run leaves alone."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest

from tests.e2e.client import post_file
from tests.e2e.playbooks import OWN, PORT, ROOT, URL, playbook, run

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
    assert result.changed == 1, result.output
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


def test_the_container_can_do_little(container):
    settings = container.attrs["HostConfig"]
    assert settings["ReadonlyRootfs"] is True
    assert [name.lower() for name in settings["CapDrop"]] == ["all"] and not settings["CapAdd"]
    assert settings["SecurityOpt"] == ["no-new-privileges:true"]
    assert settings["RestartPolicy"]["Name"] == "unless-stopped"
    assert settings["PortBindings"] == {"19031/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(PORT)}]}
    assert container.attrs["Config"]["User"].split(":")[0] not in ("", "0", "root")


def test_the_app_image_is_at_most_1_6_gb(container):
    assert container.image.attrs["Size"] <= 1.6e9
