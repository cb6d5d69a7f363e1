"""The process that computes is killed: another one takes its place, and whoever waits gets an answer all the same."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import DEMO_BUNDLE
from tests.integration.web_server import Server, error_of

pytestmark = pytest.mark.slow

GAPS = DEMO_BUNDLE / "gaps.csv"
KILLS = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("killed"), lanes=2) as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="module")
def expected(server, demo_clip) -> dict[str, dict]:
    """The predictions of a service that nobody disturbs."""
    return {
        name: server.predict(name, content).json()["prediction"]
        for name, content in (("clip.mp4", demo_clip.read_bytes()), ("gaps.csv", GAPS.read_bytes()))
    }


def kill(server: Server) -> int:
    """Once there is one."""
    server.wait_for(server.compute)
    killed = server.compute()
    os.kill(killed, signal.SIGKILL)
    return killed


def test_what_it_had_in_hand_is_computed_again(server, expected, demo_clip):
    with ThreadPoolExecutor(2) as clients:
        video = clients.submit(server.predict, "clip.mp4", demo_clip.read_bytes())
        server.wait_for_upload()
        time.sleep(0.5)
        killed, seen = kill(server), set()
        csv = clients.submit(server.predict, "gaps.csv", GAPS.read_bytes())
        while not (video.done() and csv.done()):
            seen.add(server.get("/readyz").status_code)
            time.sleep(0.05)
    assert video.result().json()["prediction"] == expected["clip.mp4"]
    assert csv.result().json()["prediction"] == expected["gaps.csv"]
    assert seen == {200}, "requests are taken meanwhile"
    assert server.compute() not in (killed, None)
    assert [line["stage"] for line in server.log_lines("computed again")] != []
    assert {line["signal"] for line in server.log_lines("the process that computes died")} == {"SIGKILL"}


def test_who_was_in_hand_at_a_second_death_fails_alone_by_name(server, expected, demo_clip):
    """As a file does whose frame crashes the decoder, each time."""
    with ThreadPoolExecutor(2) as clients:
        video = clients.submit(server.predict, "clip.mp4", demo_clip.read_bytes())
        server.wait_for_upload()
        time.sleep(0.5)
        before = len(server.log_lines("ready"))
        kill(server)
        server.wait_for(lambda: len(server.log_lines("ready")) > before)
        time.sleep(0.5)
        csv = clients.submit(server.predict, "gaps.csv", GAPS.read_bytes())
        time.sleep(0.05)
        kill(server)
        error = error_of(video.result(), 500, "compute-died")
        assert csv.result().json()["prediction"] == expected["gaps.csv"], "it had a second try of its own"
    assert error["details"]["stage"] in error["message"]
    server.wait_for(server.compute)
    assert server.predict("clip.mp4", demo_clip.read_bytes()).json()["prediction"] == expected["clip.mp4"]


def test_killed_at_random_moments_under_load_it_answers_right_or_refuses_by_name(server, expected, demo_clip, figures):
    chance, contents = random.Random(7), {"clip.mp4": demo_clip.read_bytes(), "gaps.csv": GAPS.read_bytes()}
    over = threading.Event()

    def client(name: str) -> list[bool]:
        right = []
        while not over.is_set():
            response = server.predict(name, contents[name])
            if response.status_code == 200:
                assert response.json()["prediction"] == expected[name]
            else:
                error_of(response, 500, "compute-died")
            right.append(response.status_code == 200)
        return right

    with ThreadPoolExecutor(4) as clients:
        running = [clients.submit(client, name) for name in ("clip.mp4", "gaps.csv", "gaps.csv")]
        try:
            for _ in range(KILLS):
                time.sleep(chance.uniform(0.2, 3))
                kill(server)
        finally:
            over.set()
        answers = [each for one in running for each in one.result()]
    figures.append(f"{KILLS} kills under load: {sum(answers)} of {len(answers)} requests answered, the others by name")
    assert any(answers)
    server.wait_for(server.compute)
    assert server.predict("gaps.csv", contents["gaps.csv"]).json()["prediction"] == expected["gaps.csv"]


def test_a_processs_end_ends_with_the_service(tmp_path):
    with Server(tmp_path) as server:
        server.wait_ready()
        compute = server.compute()
    with pytest.raises(ProcessLookupError):
        for _ in range(50):
            os.kill(compute, 0)
            time.sleep(0.1)
