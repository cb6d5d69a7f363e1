"""Deployments under constant mixed requests, none of which may fail: scripts/bench releases [--kill [N]].

Beside whatever else is deployed, under a name and a port of its own. Ten deployments change a setting; ten are bad,
each in another way, and have to leave the container that serves as it is. With --kill, ansible-playbook is killed at
every Nth task of the play that changes servers, and run again, which has to get through. Exits with 1 when a request
failed, a bad deployment went through, or a good one did not.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import requests

from tests.e2e.playbooks import ANSIBLE, CONTROLLER, PORT, ROOT, environment, playbook

NAME, OWN_PORT = "poseparity-bench", PORT + 1
URL = f"http://127.0.0.1:{OWN_PORT}"
OWN = ("-e", f"poseparity_container_name={NAME}", "-e", f"poseparity_port={OWN_PORT}", "-e", "poseparity_watch_s=2")
BUNDLE = ROOT / "service/bundles/demo"
PLAY = "PLAY [Put it into service]"


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def of_live(fact: str) -> str:
    """What Docker says of the container that gets the requests."""
    colour = docker("exec", f"{NAME}-proxy", "/opt/poseparity/bin/proxy", "live")
    return docker("inspect", "--format", fact, f"{NAME}-{colour}")


class Requests:
    """Sends requests of every kind until the block ends, each kind on a thread of its own.

    Attributes:
        answers: kind and status, or the error in place of one, to how many there were.
    """

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, str]] = Counter()
        self._stop = threading.Event()
        csv = (BUNDLE / "gaps.csv").read_bytes()
        legacy = {"csv_base64": base64.b64encode(csv).decode()}
        kept = requests.Session()
        kinds = {
            "health": (200, 0.05, lambda: requests.get(f"{URL}/healthz", timeout=60)),
            "health on a kept connection": (200, 0.05, lambda: kept.get(f"{URL}/healthz", timeout=60)),
            "skeleton CSV": (200, 0.2, lambda: self._predict(("a.csv", csv))),
            "legacy JSON": (200, 0.5, lambda: requests.post(f"{URL}/mmaction_stgcn_test", json=legacy, timeout=120)),
            "video": (200, 5, lambda: self._predict(("a.mp4", (BUNDLE / "clip.mp4").read_bytes()))),
            "no CSV": (400, 0.5, lambda: self._predict(("a.csv", b"nothing"))),
        }
        self._threads = [threading.Thread(target=self._send, args=(kind, *rest)) for kind, rest in kinds.items()]

    def __enter__(self) -> Requests:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def failed(self) -> dict[tuple[str, str], int]:
        return {kind: count for kind, count in self.answers.items() if kind[1] != "as expected"}

    @staticmethod
    def _predict(file: tuple[str, bytes]) -> requests.Response:
        return requests.post(f"{URL}/v1/predictions", files={"file": file}, timeout=300)

    def _send(self, kind: str, expected: int, pause: float, ask) -> None:
        while not self._stop.wait(pause):
            try:
                status = ask().status_code
                # A queue that is full is an answer: these requests are more than two workers compute.
                what = "as expected" if status in (expected, 429) else str(status)
            except (requests.RequestException, http.client.HTTPException) as error:
                what = type(error).__name__
            self.answers[kind, what] += 1


def changes() -> list[tuple[str, dict]]:
    """Good deployments: what they are called and their variables."""
    settings = [{"max_frames": 8000}, {"log_level": "debug"}, {"queue_limit": 6}, {"stall_timeout_s": 20},
                {"max_upload_bytes": 10**8}, {"http_threads": 12}, {"inference_timeout_s": 600}, {"max_frames": 8500},
                {"min_upload_rate": 20000}]  # fmt: skip
    named = [(json.dumps(each), {"poseparity_settings": each}) for each in settings]
    return [*named, ("one worker", {"poseparity_workers": 1})]


def mistakes(folder: Path) -> list[tuple[str, dict]]:
    """Bad deployments."""
    image = of_live("{{.Image}}")
    (folder / "Dockerfile").write_text(f'FROM {image}\nCMD ["sleep", "1000"]\n')
    docker("build", "--tag", f"{NAME}/sleeps:latest", str(folder))
    (folder / "key.pem").write_text("no key")
    return [
        ("a level that is none", {"poseparity_settings": {"log_level": "verbose"}}),
        ("a negative number", {"poseparity_settings": {"max_frames": -3}}),
        ("fewer frames than the demo clip has", {"poseparity_settings": {"max_frames": 50}}),
        ("an image that sleeps", {"poseparity_app_image": f"{NAME}/sleeps:latest", "poseparity_ready_timeout_s": 8}),
        ("an image that is not there", {"poseparity_app_image": "poseparity-bench/absent:1"}),
        ("a bundle that is not there", {"poseparity_bundle": "/nonexistent"}),
        ("an address that is none", {"poseparity_bind_address": "999.1.1.1"}),
        ("too little memory", {"poseparity_memory_mb": 150, "poseparity_ready_timeout_s": 20}),
        ("a key that is none", {"poseparity_tls_certificate": str(folder / "key.pem"),
                                "poseparity_tls_key": str(folder / "key.pem")}),
        ("no time to get ready", {"poseparity_settings": {"max_frames": 7000}, "poseparity_ready_timeout_s": 1}),
    ]  # fmt: skip


def deploy(variables: dict) -> tuple[bool, float]:
    start = time.monotonic()
    result = playbook("deploy", *OWN, "-e", json.dumps(variables))
    return result.status == 0, time.monotonic() - start


def release(sent: Requests) -> bool:
    """Twenty deployments, good and bad in turns. Returns whether each ended as it should."""
    right = True
    with tempfile.TemporaryDirectory() as folder:
        bad = mistakes(Path(folder))
        for good, mistake in zip(changes(), bad, strict=True):
            for (name, variables), wanted in ((good, True), (mistake, False)):
                before, failed = of_live("{{.Id}}"), sum(sent.failed.values())
                done, seconds = deploy(variables)
                moved = of_live("{{.Id}}") != before
                as_wanted = done is wanted and moved is wanted
                right &= as_wanted
                lost = sum(sent.failed.values()) - failed
                print(f"{'ok   ' if as_wanted else 'WRONG'} {seconds:6.1f} s, {lost} requests failed: "
                      f"{'' if wanted else 'bad: '}{name}", flush=True)  # fmt: skip
    docker("rmi", "--force", f"{NAME}/sleeps:latest")
    return right


def killed(number: int, variables: dict) -> str | None:
    """Start a deployment and kill it at the Nth task of the play that changes servers.

    Returns:
        The task; None where the play has fewer.
    """
    command = [CONTROLLER / "bin/ansible-playbook", "deploy.yml", *OWN, "-e", json.dumps(variables)]
    with subprocess.Popen(command, cwd=ANSIBLE, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, start_new_session=True) as process:  # fmt: skip
        begun, seen = False, 0
        for line in process.stdout:
            begun = begun or line.startswith(PLAY)
            seen += begun and line.startswith("TASK")
            if seen == number:
                time.sleep(0.3)
                os.killpg(process.pid, signal.SIGKILL)
                return line.removeprefix("TASK [").split("]")[0]
        return None


def kill(sent: Requests, every: int) -> bool:
    right, number = True, 1
    while True:
        variables, failed = {"poseparity_settings": {"max_frames": 5000 + number}}, sum(sent.failed.values())
        task = killed(number, variables)
        if task is None:
            return right
        done, seconds = deploy(variables)
        right &= done
        print(f"{'ok   ' if done else 'WRONG'} {seconds:6.1f} s, {sum(sent.failed.values()) - failed} requests failed: "
              f"killed at {number}, {task}", flush=True)  # fmt: skip
        number += every


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench releases", description=__doc__)
    parser.add_argument("--kill", type=int, nargs="?", const=1, metavar="N", help="kill at every Nth task instead")
    options = parser.parse_args()
    done, seconds = deploy({})
    if not done:
        sys.exit("the first deployment failed: run scripts/deploy and see")
    print(f"first deployment: {seconds:.1f} s; once more, unchanged: {deploy({})[1]:.1f} s", flush=True)
    try:
        with Requests() as sent:
            right = kill(sent, options.kill) if options.kill else release(sent)
    finally:
        playbook("destroy", *OWN)
    for (kind, what), count in sorted(sent.answers.items()):
        print(f"{kind}: {count} {what}")
    return 0 if right and not sent.failed else 1


if __name__ == "__main__":
    sys.exit(main())
