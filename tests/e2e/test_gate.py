"""An image whose environment is not the local one is refused, by name, while the running service goes on serving."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.client import Poller, post_file
from tests.e2e.playbooks import CONTAINER, CONTROLLER, OWN, URL, playbook

pytestmark = [pytest.mark.docker, pytest.mark.slow]

# pip comes and goes with the build, as in the project's own images; the build has no network.
DOCKERFILE = """
FROM {base}
USER 0
COPY wheels /tmp/wheels
RUN python3.11 -m venv /tmp/pip \\
 && /tmp/pip/bin/pip --python /opt/venv/bin/python install --quiet --no-index --no-deps /tmp/wheels/*.whl \\
 && rm -r /tmp/pip /tmp/wheels
USER 10001:10001
"""


def download(requirement: str, folder: Path) -> None:
    """Fetch one wheel for the image's Python with the controller's pip."""
    command = [CONTROLLER / "bin/python", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    target = ["--python-version", "3.11", "--implementation", "cp", "--dest", folder]
    subprocess.run([*command, *target, requirement], check=True)


def context(dockerfile: str, wheels: Path) -> io.BytesIO:
    """A build context as a tar in memory."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(dockerfile.encode())
        tar.addfile(member, io.BytesIO(dockerfile.encode()))
        tar.add(wheels, arcname="wheels")
    stream.seek(0)
    return stream


def build(engine, base: str, tag: str, requirement: str, folder: Path) -> str:
    """Build the deployed image with one more wheel installed over what it has."""
    download(requirement, folder)
    tar = context(DOCKERFILE.format(base=base), folder)
    engine.images.build(fileobj=tar, custom_context=True, tag=tag, network_mode="none", rm=True)
    return tag


@pytest.fixture(scope="module")
def wrong_image(request, engine, tmp_path_factory) -> Iterator[str]:
    """The deployed image with `request.param`, a pip requirement, installed over it."""
    deployed = engine.containers.get(CONTAINER).image.id
    tag = f"{CONTAINER}/{request.param.split('==')[0]}:latest"
    yield build(engine, deployed, tag, request.param, tmp_path_factory.mktemp("wheels"))
    engine.images.remove(tag, force=True)


WRONG = ["numpy==1.26.4", "opencv-python-headless==4.12.0.88", "opencv-contrib-python==4.11.0.86"]


@pytest.mark.parametrize("wrong_image", WRONG, indirect=True)
@pytest.mark.parametrize("name", ["verify", "deploy"])
def test_the_image_is_refused_while_the_service_goes_on(name, wrong_image, container, demo_clip):
    package = wrong_image.split("/")[1].split(":")[0]
    with Poller(URL) as poller:
        result = playbook(name, *OWN, "-e", f"poseparity_app_image={wrong_image}")
        assert post_file(URL, demo_clip)[0] == 200
    assert result.status != 0, result.output
    assert f"{wrong_image} is refused" in result.message and package in result.message, result.message
    assert set(poller.statuses) == {200}, f"{poller.statuses}"
    before = container.attrs["State"]["StartedAt"]
    container.reload()
    assert container.attrs["State"]["StartedAt"] == before


@pytest.mark.parametrize("wrong_image", WRONG[:1], indirect=True)
def test_the_message_is_short_and_names_the_report(wrong_image):
    result = playbook("verify", *OWN, "-e", f"poseparity_app_image={wrong_image}")
    shown = result.output[result.output.rindex("fatal:") : result.output.rindex("PLAY RECAP")]
    lines = [line for line in shown.splitlines() if line.strip()]
    assert len(lines) <= 12, shown
    report = next(word for word in result.message.split() if word.endswith("report.txt"))
    assert "numpy" in Path(report).read_text("utf-8")


def test_the_deployed_image_passes(deployment):
    result = playbook("verify", *OWN)
    assert result.status == 0, result.output
    assert result.changed == 0, result.output


def test_an_image_that_is_not_there_is_named(deployment):
    result = playbook("verify", *OWN, "-e", "poseparity_app_image=poseparity-e2e/absent:1")
    assert result.status != 0
    assert "poseparity-e2e/absent:1" in result.message and "poseparity_app_image" in result.message
