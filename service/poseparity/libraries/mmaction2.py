"""The one place that imports MMAction2, because its wheel cannot be imported as it is; see ../mmaction2.py."""

from __future__ import annotations

import importlib
import logging
import warnings
from functools import cache
from types import ModuleType

from .mmaction2_autoload import complete


@cache
def registries() -> ModuleType:
    """Import MMAction2's models and transforms and return mmaction.registry, in which they are registered."""
    # mmcv-lite lacks an operation that no skeleton model uses, and says so at every start.
    warnings.filterwarnings("ignore", "Fail to import ``MultiScaleDeformableAttention``", UserWarning)
    complete()  # PyTorch has called it, unless TORCH_DEVICE_BACKEND_AUTOLOAD=0 told it not to
    importlib.import_module("mmaction.models")
    importlib.import_module("mmaction.datasets.transforms")
    registry = importlib.import_module("mmaction.registry")
    mmengine = importlib.import_module("mmengine.registry")
    mmengine.init_default_scope("mmaction")
    # mmengine prints every configuration detail of every model that it builds.
    logging.getLogger("mmengine").setLevel(logging.ERROR)
    return registry
