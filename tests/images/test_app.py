"""The application image: what is in it, who runs it, what its labels say, and that it is not built twice."""

from __future__ import annotations

import json
import subprocess
import time

import docker
import pytest

from images.builder.recipes import CPU_LOCK
from poseparity.numerics import read_pins
from scripts.locking.locks import sha256
from tests.golden_bundle import CLIP, CSV, differing_stages, make_short_bundle

pytestmark = [pytest.mark.docker, pytest.mark.slow]

LIMIT_BYTES = 1_600_000_000
AT_ONCE = 32


@pytest.fixture(scope="module")
def inspected(engine, app) -> dict:
    return engine.images.get(app["image"]).attrs


def test_the_image_is_within_its_size(app):
    assert app["size"] <= LIMIT_BYTES


def test_an_unchanged_build_is_recognised(build, app):
    again = build("app")
    assert again == {**app, "changed": False, "parents": [{**each, "changed": False} for each in app["parents"]]}
    assert build("app", "--check") == again


def test_the_labels_name_lock_revision_and_content(inspected, app):
    labels = inspected["Config"]["Labels"]
    assert labels["poseparity.lock"] == sha256(CPU_LOCK)
    assert labels["poseparity.content"] == app["content"]
    assert labels["poseparity.revision"] == labels["org.opencontainers.image.revision"] != ""
    assert app["image"].endswith(app["content"][:16])


def test_the_container_does_not_run_as_root(inspected, run):
    assert inspected["Config"]["User"] == "10001:10001"
    assert run("python", "-c", "import os; print(os.getuid(), os.getgid())").split() == ["10001", "10001"]


def test_no_file_of_the_service_can_be_changed_by_it(run):
    found = run("find", "/opt", "-not", "-type", "l", "-writable")
    assert found == ""


def test_the_whole_stack_imports_without_a_network(run):
    code = "import cv2, torch, ultralytics, mmaction.registry, poseparity.pipeline; print(cv2.__version__)"
    assert run("python", "-c", code).strip().splitlines()[-1] == "4.12.0"


def test_exactly_one_distribution_provides_cv2(run):
    code = "import json; from importlib import metadata; print(json.dumps(metadata.packages_distributions()['cv2']))"
    assert json.loads(run("python", "-c", code)) == ["opencv-python"]


def test_every_installed_file_that_a_record_lists_is_there(run):
    code = (
        "from importlib import metadata\n"
        "print([str(f) for d in metadata.distributions() for f in d.files or () if not f.locate().exists()])"
    )
    assert run("python", "-c", code).strip() == "[]"


def test_the_entry_point_exports_every_pin(run):
    exported = json.loads(run("python", "-c", "import json, os; print(json.dumps(dict(os.environ)))"))
    assert read_pins().items() <= exported.items()


def test_every_pin_takes_effect(run):
    run("poseparity", "env")  # its exit status says so


def test_the_package_is_found_where_the_tree_says(run):
    code = "from poseparity.settings import ROOT; print(ROOT)"
    assert run("python", "-c", code).strip() == "/opt/poseparity"


def test_no_mirror_index_or_proxy_stays_in_the_image(run):
    found = run("sh", "-c", "grep -rs :// /etc/apt /etc/pip.conf; true")
    assert found == ""


def test_a_parent_that_no_registry_has_is_an_error_on_one_line(checkout, app):
    command = [checkout / "images/build", "parent", "--parent", f"localhost:9/none@sha256:{'0' * 64}"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert "the parent image localhost:9/none@sha256:" in result.stderr
    assert "  fix: correct the name and digest" in result.stderr


def test_what_a_parent_lacks_is_named(engine, checkout, build):
    """The base image's first step, on a parent without one of the libraries."""
    script = (checkout / "images/base/check-parent").read_text("utf-8")
    parent = build("parent")["image"]
    command = ["sh", "-c", f"rm /usr/lib/x86_64-linux-gnu/libGL.so.1\n{script}"]
    with pytest.raises(docker.errors.ContainerError, match=r"The parent image lacks libGL\.so\.1\."):
        engine.containers.run(parent, command, network_mode="none", remove=True)
    engine.containers.run(parent, ["sh", "-c", script], network_mode="none", remove=True)


def test_the_default_command_becomes_healthy_and_stops_at_once(engine, app):
    container = engine.containers.run(
        app["image"], detach=True, network_mode="none", read_only=True, tmpfs={"/tmp": ""}, cap_drop=["ALL"]
    )
    try:
        assert wait_while_starting(container) == "healthy", container.logs().decode()
        assert container.top()["Processes"]
        assert container.stop(timeout=20) is None
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 0
    finally:
        container.remove(force=True)


def wait_while_starting(container) -> str:
    """Return the container's health once it is known, or after two minutes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        container.reload()
        health = container.attrs["State"]["Health"]["Status"]
        if health != "starting" or not container.attrs["State"]["Running"]:
            break
        time.sleep(0.5)
    return health


def test_the_golden_traces_are_those_of_every_other_machine(run):
    """The demo bundle's, which are committed: another file system, another user, the image's own libraries."""
    printed = run("poseparity", "bundle", "verify", "--replay").splitlines()
    assert printed[-2:] == ["clip.mp4: 9 of 9 stages identical", "gaps.csv: 5 of 5 stages identical"]


@pytest.fixture(scope="module")
def short_bundle(demo_bundle, demo_result, tmp_path_factory):
    return make_short_bundle(demo_bundle, demo_result.csv, tmp_path_factory.mktemp("short") / "bundle")


@pytest.fixture
def service(engine, app, short_bundle):
    """Start the service on the short bundle with a number of lanes; its address on this machine."""
    started = []

    def start(lanes: int) -> str:
        settings = {"BUNDLE": "/bundle", "HOST": "0.0.0.0", "LANES": lanes, "QUEUE_LIMIT": AT_ONCE}
        container = engine.containers.run(
            app["image"],
            detach=True,
            read_only=True,
            tmpfs={"/tmp": ""},
            environment={f"POSEPARITY_{name}": str(value) for name, value in settings.items()},
            volumes={str(short_bundle.folder): {"bind": "/bundle", "mode": "ro"}},
            ports={"19031/tcp": ("127.0.0.1", None)},
        )
        started.append(container)
        assert wait_while_starting(container) == "healthy", container.logs().decode()
        return f"http://127.0.0.1:{container.ports['19031/tcp'][0]['HostPort']}"

    yield start
    for container in started:
        container.remove(force=True)


def test_every_answer_of_a_container_is_equal_stage_by_stage(service, short_bundle):
    """To what was recorded outside of it, with many requests at once; test_equal_everywhere has other lanes."""
    url = service(lanes=2)
    assert differing_stages(short_bundle, CLIP, url, 1) == [()]
    assert differing_stages(short_bundle, CSV, url, AT_ONCE) == [()] * AT_ONCE
