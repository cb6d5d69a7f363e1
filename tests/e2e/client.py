"""Talking to the deployed service as any client would."""

from __future__ import annotations

import threading
from pathlib import Path

import requests


def post_file(url: str, path: Path) -> tuple[int, dict]:
    """Send a file to POST /v1/predictions; return the status and the JSON answer."""
    with path.open("rb") as stream:
        response = requests.post(f"{url}/v1/predictions", files={"file": (path.name, stream)}, timeout=120)
    return response.status_code, response.json()


class Client:
    """Sends a file again and again until the block ends.

    Attributes:
        answers: (status, prediction) of each request; (0, None) where nobody answered.
    """

    def __init__(self, url: str, path: Path, pause: float = 0.5) -> None:
        self.answers: list[tuple[int, dict | None]] = []
        self._url, self._path, self._pause = url, path, pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_asking)

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _keep_asking(self) -> None:
        while not self._stop.is_set():
            self.answers.append(self._ask())
            self._stop.wait(self._pause)

    def _ask(self) -> tuple[int, dict | None]:
        try:
            status, answer = post_file(self._url, self._path)
        except requests.ConnectionError:
            return 0, None
        return status, answer.get("prediction")
