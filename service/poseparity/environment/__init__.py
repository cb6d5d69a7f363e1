"""What this environment is: the package's door to scripts/verify_env.py.

That script must run alone (standard library only, any Python from 3.8), so it is the place for such code; here it is
loaded as a module and not repeated.
"""

from __future__ import annotations

import importlib.util
import threading
from functools import cache
from pathlib import Path
from types import ModuleType

from ..settings import ROOT

SCRIPT = ROOT / "scripts/verify_env.py"


@cache
def verify_env() -> ModuleType:
    """scripts/verify_env.py as a module."""
    spec = importlib.util.spec_from_file_location("poseparity_verify_env", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def take_snapshot(bundle: Path | None = None) -> dict:
    """Describe this environment; see `verify_env.py snapshot`."""
    return verify_env().take_snapshot(bundle=bundle)
