"""A real Gunicorn process that serves poseparity, for tests that speak HTTP to it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests

from poseparity import numerics

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "service/gunicorn.conf.py"
START_SECONDS = 120
LOADING = "the models are being loaded"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """Gunicorn as the image starts it, in a temporary directory of its own.

    Args:
        folder: for the log and, below it, for the process's temporary files.
        config: Gunicorn's configuration file.
        unset: variables to take out of its environment.
        settings: POSEPARITY_ settings by their lower-case names.
    """

    def __init__(self, folder: Path, *, config: Path = CONFIG, unset: tuple[str, ...] = (), **settings: object) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self._log = folder / "log"
        self._config = config
        chosen = {"port": self.port, **settings}
        environment = {**os.environ, **numerics.read_pins(), "TMPDIR": str(self.temporary)}
        environment |= {f"POSEPARITY_{name.upper()}": str(value) for name, value in chosen.items()}
        self._environment = {name: value for name, value in environment.items() if name not in unset}
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> Server:
        command = [sys.executable, "-m", "gunicorn", "-c", str(self._config), "poseparity.web:create_app()"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, env=self._environment, stderr=log, stdout=log)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def get(self, path: str, **options) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **options)

    def post(self, path: str, **options) -> requests.Response:
        return requests.post(self.url + path, timeout=300, **options)

    def predict(self, name: str, content: bytes, **fields: str) -> requests.Response:
        return self.post("/v1/predictions", files={"file": (name, content)}, data=fields)

    def wait_alive(self) -> None:
        """Until the process answers at all."""
        self.wait_for(self._answers)

    def wait_ready(self) -> list[tuple[int, int]]:
        """Until /readyz says 200; the statuses of /healthz and /readyz that were seen on the way."""
        self.wait_alive()
        seen = []

        def loaded() -> bool:
            alive, ready = self.get("/healthz"), self.get("/readyz")
            seen.append((alive.status_code, ready.status_code))
            return LOADING not in ready.text

        self.wait_for(loaded)
        assert seen[-1][1] == 200, self.get("/readyz").text
        return seen

    def wait_failed(self) -> requests.Response:
        """Until /readyz gives another reason than that the models are being loaded."""
        self.wait_alive()
        self.wait_for(lambda: LOADING not in self.get("/readyz").text)
        return self.get("/readyz")

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def log_lines(self, event: str) -> list[dict]:
        """The JSON lines of the log with that event."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def worker(self) -> int:
        """Process id of Gunicorn's one worker."""
        (worker,) = _children(self.process.pid)
        return worker

    def compute(self) -> int | None:
        """Process id of the process that computes; None while there is none."""
        return next((pid for pid in _children(self.worker()) if b"poseparity.serving" in _command(pid)), None)

    def left_behind(self) -> list[str]:
        """Everything in the temporary directory that has a name, or that a worker holds open without one."""
        return [str(path) for path in self.temporary.rglob("*")] + self.uploads_held()

    def uploads_held(self) -> list[str]:
        """Files of the temporary directory that a worker holds open: the uploads that it is busy with."""
        return [link for link in _open_files(self.worker()) if link.startswith(str(self.temporary))]

    def wait_for_upload(self) -> None:
        """Until a worker holds an upload."""
        self.wait_for(self.uploads_held)

    def _answers(self) -> bool:
        try:
            return self.get("/healthz").status_code == 200
        except requests.ConnectionError:
            return False

    def wait_for(self, condition) -> None:
        """Until `condition()` holds; fails when Gunicorn ends before, or when it takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            assert self.process.poll() is None, f"Gunicorn exited with {self.process.returncode}:\n{self.log()}"
            assert time.monotonic() < deadline, f"nothing changed in {START_SECONDS} s:\n{self.log()}"
            time.sleep(0.1)


def _children(pid: int) -> list[int]:
    """Of all its threads: whichever started them."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += [int(child) for child in (thread / "children").read_text().split()]
        except FileNotFoundError:  # ended meanwhile
            continue
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def _open_files(pid: int) -> list[str]:
    links = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(str(descriptor.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    return links


def error_of(response: requests.Response, status: int, code: str) -> dict:
    """The error of an answer, after checks that hold for every error of the service."""
    assert response.status_code == status, response.text
    answer = response.json()
    assert set(answer) == {"error", "request_id"}
    assert set(answer["error"]) == {"code", "message", "fix", "details"}
    assert answer["error"]["code"] == code, answer
    assert answer["request_id"] == response.headers["X-Request-Id"]
    for line in (answer["error"]["message"], answer["error"]["fix"]):
        assert line and "\n" not in line
    return answer["error"]
