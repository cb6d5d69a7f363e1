"""A new version takes the place of the one that serves without a failed request, or leaves it where it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.conftest import DEMO_BUNDLE
from tests.e2e.client import Client
from tests.e2e.containers import live
from tests.e2e.playbooks import ANSIBLE, CONTAINER, CONTROLLER, OWN, PORT, URL, environment, playbook
from tests.e2e.slow_clients import SlowClients

pytestmark = [pytest.mark.docker, pytest.mark.slow]

EVERY = "KILL_AT_EVERY_TASK"
QUICK = ("-e", "poseparity_watch_s=3")


@pytest.fixture(scope="module")
def skeleton() -> Path:
    return DEMO_BUNDLE / "gaps.csv"


@pytest.fixture(scope="module", autouse=True)
def as_it_was(deployment) -> Iterator[None]:
    """Others find the deployment as scripts/deploy made it."""
    yield
    assert playbook("deploy", *OWN, *QUICK).status == 0


def with_settings(**settings) -> tuple[str, ...]:
    return *OWN, *QUICK, "-e", json.dumps({"poseparity_settings": settings})


@contextmanager
def undisturbed(skeleton: Path) -> Iterator[None]:
    """CSVs and health checks, sent all the time on old and on new connections: every one is answered."""
    health, stop = [], threading.Event()

    def ask() -> None:
        with requests.Session() as kept:
            while not stop.wait(0.05):
                for get in (kept.get, requests.get):
                    try:
                        health.append(get(f"{URL}/healthz", timeout=30).status_code)
                    except requests.RequestException as error:
                        health.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        with Client(URL, skeleton, pause=0.1) as client:
            yield
    finally:
        stop.set()
        thread.join()
    assert len(health) > 50 and set(health) == {200}, [each for each in health if each != 200]
    assert client.answers and {status for status, _ in client.answers} == {200}, client.answers
    assert all(answer == client.answers[0] for answer in client.answers)


def same(container) -> bool:
    """Whether the container is as it was."""
    before = container.attrs["State"]["StartedAt"]
    container.reload()
    return container.attrs["State"]["StartedAt"] == before and container.status == "running"


def test_a_changed_setting_costs_no_request(deployment, container, engine, skeleton):
    """And check mode says beforehand how much changes."""
    foreseen = playbook("deploy", "--check", *with_settings(max_frames=8000))
    assert foreseen.status == 0, foreseen.output
    with undisturbed(skeleton):
        result = playbook("deploy", *with_settings(max_frames=8000))
    assert result.status == 0, result.output
    assert result.changed == foreseen.changed == 3, result.output
    after = live(engine)
    assert after.id != container.id and "POSEPARITY_MAX_FRAMES=8000" in after.attrs["Config"]["Env"]
    again = playbook("deploy", *with_settings(max_frames=8000))
    assert again.status == again.changed == 0, again.output
    assert same(after)


def test_a_version_that_cannot_answer_the_demo_clip_never_serves(deployment, container, engine, skeleton):
    with undisturbed(skeleton):
        result = playbook("deploy", *with_settings(max_frames=50))
    assert result.status != 0, result.output
    assert (
        "is not ready after" in result.message
        and "50" in result.message
        and "The version before serves on" in result.message
    )
    assert live(engine).id == container.id and same(container)
    left = {each.name for each in engine.containers.list(all=True) if each.name.startswith(f"{CONTAINER}-")}
    assert left == {container.name, f"{CONTAINER}-proxy"}


def test_an_image_that_does_not_serve_never_gets_a_request(deployment, container, engine, skeleton, tmp_path):
    """The gate runs commands of its own in it, so it passes there."""
    (tmp_path / "Dockerfile").write_text(f'FROM {container.image.id}\nCMD ["sleep", "1000"]\n')
    tag = f"{CONTAINER}/sleeps:latest"
    engine.images.build(path=str(tmp_path), tag=tag, rm=True)
    try:
        with undisturbed(skeleton):
            result = playbook("deploy", *OWN, "-e", f"poseparity_app_image={tag}", "-e", "poseparity_ready_timeout_s=5")
    finally:
        engine.images.remove(tag, force=True)
    assert result.status != 0, result.output
    assert "is not ready after" in result.message and "The version before serves on" in result.message
    assert "\\n" not in result.message
    assert live(engine).id == container.id and same(container)


def killed_at(task: str | int, *options: str) -> bool:
    """Start deploy.yml and kill it, with all that it started, when it comes to a task, or to the one of that number.

    Returns whether it came to it.
    """
    command = [CONTROLLER / "bin/ansible-playbook", "deploy.yml", *options]
    with subprocess.Popen(
        command, cwd=ANSIBLE, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        tasks = (line for line in process.stdout if line.startswith("TASK"))
        if not any(number == task if isinstance(task, int) else task in line for number, line in enumerate(tasks, 1)):
            return False
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGKILL)
    return True


@pytest.mark.parametrize(
    "task", ["service : Ensure the new version gets the requests", "service : Ensure the version before is gone"]
)
def test_a_killed_deployment_costs_no_request_and_the_next_one_gets_through(task, deployment, engine, skeleton):
    options = with_settings(max_frames=6000 + len(task))
    with undisturbed(skeleton):
        assert killed_at(task, *options), f"the playbook never came to {task}"
        result = playbook("deploy", *options)
    assert result.status == 0, result.output
    assert f"POSEPARITY_MAX_FRAMES={6000 + len(task)}" in live(engine).attrs["Config"]["Env"]


@pytest.mark.skipif(
    EVERY not in os.environ, reason=f"{EVERY} is unset: deployments were NOT killed at every task (1 h)"
)
def test_deployments_killed_at_every_task_cost_no_request_and_the_next_one_gets_through(deployment, engine, skeleton):
    """Each goes on from what the one before it left; every fourth time one may end, and the next begins with news."""
    number, there = 0, True
    while there:
        frames = 5000 + number
        options = with_settings(max_frames=frames)
        with undisturbed(skeleton):
            for _ in range(4):
                number += 1
                there = there and killed_at(number, *options)
                print(f"task {number}: {'killed' if there else 'not there'}", flush=True)
            result = playbook("deploy", *options)
        assert result.status == 0, (number, result.output)
        assert f"POSEPARITY_MAX_FRAMES={frames}" in live(engine).attrs["Config"]["Env"]
    assert number > 50


def test_two_deployments_at_once_do_not_mix(deployment, engine):
    options = with_settings(max_frames=7777)
    command = [CONTROLLER / "bin/ansible-playbook", "deploy.yml", *options]
    with subprocess.Popen(command, cwd=ANSIBLE, env=environment(), stdout=subprocess.PIPE, text=True) as first:
        for line in first.stdout:
            if "Ask the new version at its own address" in line:
                break
        second = playbook("deploy", *with_settings(max_frames=8888))
        first.stdout.read()
    assert first.returncode == 0
    assert second.status != 0 and "Another deployment is changing" in second.message, second.output
    assert "POSEPARITY_MAX_FRAMES=7777" in live(engine).attrs["Config"]["Env"]


def test_slow_clients_hold_up_nobody(deployment, skeleton):
    """Sixty of each: without a byte, with endless headers, with an endless short body, with an endless long one."""
    with SlowClients("127.0.0.1", PORT, each=60) as slow, undisturbed(skeleton):
        time.sleep(20)
    assert slow.opened >= 240 and slow.ended.keys() >= {"408"}, slow.ended
