"""The one place that imports MMAction2, because its wheel cannot be imported as it is.

The wheel of 1.2.0 lacks the folder mmaction/models/localizers/drn, which mmaction.models imports
(https://github.com/open-mmlab/mmaction2/issues/2714). That localizer works on video features and is not used here: an
empty stand-in lets the import pass, and only where the folder is in fact absent.
"""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType

_DRN = "mmaction.models.localizers.drn"


@cache
def registries() -> ModuleType:
    """Import MMAction2's models and transforms and return mmaction.registry, in which they are registered."""
    # mmcv-lite lacks an operation that no skeleton model uses, and says so at every start.
    warnings.filterwarnings("ignore", "Fail to import ``MultiScaleDeformableAttention``", UserWarning)
    package = importlib.import_module("mmaction")
    if not (Path(package.__file__).parent / "models/localizers/drn").exists():
        sys.modules[_DRN] = ModuleType(_DRN)
        sys.modules[f"{_DRN}.drn"] = stand_in = ModuleType(f"{_DRN}.drn")
        stand_in.DRN = type("DRN", (), {"__doc__": "Absent from MMAction2's wheel."})
    importlib.import_module("mmaction.models")
    importlib.import_module("mmaction.datasets.transforms")
    registry = importlib.import_module("mmaction.registry")
    mmengine = importlib.import_module("mmengine.registry")
    mmengine.init_default_scope("mmaction")
    # mmengine prints every configuration detail of every model that it builds.
    logging.getLogger("mmengine").setLevel(logging.ERROR)
    return registry
