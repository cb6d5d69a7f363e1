"""What this environment is: the package's door to scripts/verify_env.py.

That script must run alone (standard library only, any Python from 3.8), so it is the place for such code; here it is
loaded as a module and not repeated.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

from .settings import ROOT

SCRIPT = ROOT / "scripts/verify_env.py"


@cache
def verify_env() -> ModuleType:
    """scripts/verify_env.py as a module."""
    spec = importlib.util.spec_from_file_location("poseparity_verify_env", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def take_snapshot(bundle: Path | None = None) -> dict:
    """Describe this environment; see `verify_env.py snapshot`."""
    return verify_env().take_snapshot(bundle=bundle)
