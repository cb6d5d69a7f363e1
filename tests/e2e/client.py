"""Talking to the deployed service as any client would."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import requests


def post_file(url: str, path: Path) -> tuple[int, dict]:
    """Send a file to POST /v1/predictions; return the status and the JSON answer."""
    with path.open("rb") as stream:
        response = requests.post(f"{url}/v1/predictions", files={"file": (path.name, stream)}, timeout=120)
    return response.status_code, response.json()


class Poller:
    """Asks the service whether it is ready, again and again, until the block ends; keeps each status (0: no answer)."""

    def __init__(self, url: str, pause: float = 0.2) -> None:
        self.url, self.pause = f"{url}/readyz", pause
        self.statuses: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    def __enter__(self) -> Poller:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._stop.is_set():
            self.statuses.append(self._ask())
            time.sleep(self.pause)

    def _ask(self) -> int:
        try:
            return requests.get(self.url, timeout=10).status_code
        except requests.ConnectionError:
            return 0
