"""What this environment is, and what differs between two: a snapshot, a policy, a comparison.

scripts/verify_env.py is written from the modules here by scripts/one_file, and must run alone in any environment. So
they import the standard library and each other only, are Python 3.8, and follow one another as that script lists them.
This file is not part of it: it is what the rest of the package shares.
"""

from __future__ import annotations

import threading
from pathlib import Path

from .snapshot import take_snapshot

__all__ = ["snapshots", "take_snapshot"]


class _Snapshots:
    """An environment cannot change while its process lives, so it is described once, by whoever asks first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[Path, dict] = {}

    def of(self, bundle: Path) -> dict:
        """The snapshot with that bundle in it. The first call takes some seconds; it may be made from any thread."""
        with self._lock:
            if bundle not in self._taken:
                self._taken[bundle] = take_snapshot(bundle=bundle)
            return self._taken[bundle]


snapshots = _Snapshots()
