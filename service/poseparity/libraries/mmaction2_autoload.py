"""Lets MMAction2 run on the locked packages, whoever starts it: the service, its own tools, or a Runner in a script.

PyTorch calls `complete` at the end of its own import: it is an entry point of the group torch.backends in
pyproject.toml (https://docs.pytorch.org/docs/stable/accelerator/autoload.html). No file of a package is changed, and no
function of one is replaced. Modules are completed while they are loaded, if they ever are:

- The wheel of MMAction2 1.2.0 lacks the folder mmaction/models/localizers/drn, which mmaction.models imports
  (https://github.com/open-mmlab/mmaction2/issues/2714). That localizer works on video features and is not used here:
  an empty stand-in lets the import pass, where the folder is in fact absent.
- The compiled part of the installed torchvision may belong to another build of PyTorch. Its import ends with a
  RuntimeError then, where MMEngine, which logs the version, is prepared for a module that is not there.
- torch.load refuses what MMEngine saves beside the weights: the log of the training. Its classes are plain data.
- mmaction.testing looks for MMAction2's configs where a checkout has them; the wheel has them in mmaction/.mim.
"""

from __future__ import annotations

import pickle
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

_DRN = "mmaction.models.localizers.drn"
_STATISTICS = ("min", "max", "mean", "current")


def complete() -> None:
    """Complete MMAction2, MMEngine and torchvision when they are imported; once a process is enough."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds the modules that need something where Python would, and gives them to a loader that knows what."""

    def find_spec(self, name: str, path=None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in _LOADERS:
            return None
        loader, spec = _LOADERS[name], PathFinder.find_spec(name, path, target)
        if loader is _StandIn:
            return spec or ModuleSpec(name, loader(), is_package=True)
        if spec and type(spec.loader) is SourceFileLoader:
            spec.loader = loader(name, spec.origin)
        return spec


class _StandIn(Loader):
    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python."""

    def exec_module(self, module: ModuleType) -> None:
        module.DRN = type("DRN", (), {"__doc__": "Absent from MMAction2's wheel."})


class _Torchvision(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        try:
            super().exec_module(module)
        except RuntimeError as error:
            if "operator torchvision::" not in str(error):
                raise
            message = f"The installed torchvision is built for another PyTorch, and cannot be imported: {error}"
            raise ModuleNotFoundError(message, name=module.__name__) from error


class _Checkpoint(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        # torch.load may read the HistoryBuffers of a checkpoint: NumPy's arrays, and the names of four statistics.
        import numpy as np
        from mmengine.logging import HistoryBuffer
        from torch.serialization import add_safe_globals

        def statistic(owner: type, name: str):
            """What a HistoryBuffer pickles as getattr(HistoryBuffer, "mean"), and no other attribute of anything."""
            if owner is not HistoryBuffer or name not in _STATISTICS:
                raise pickle.UnpicklingError(f"the checkpoint asks for the attribute {name!r} of {owner!r}")
            return getattr(owner, name)

        # As NumPy 1 and NumPy 2 spell them.
        functions = [(getattr(np.core.multiarray, name), f"numpy.{core}.multiarray.{name}")
                     for core in ("core", "_core") for name in ("_reconstruct", "scalar")]  # fmt: skip
        numbers = [type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")]
        add_safe_globals([HistoryBuffer, np.ndarray, np.dtype, *numbers, *functions, (statistic, "builtins.getattr")])


class _Testing(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        package = Path(self.path).parents[1]
        if not (package.parent / "configs").is_dir():
            module.__file__ = str(package / ".mim/mmaction/testing/_utils.py")


_LOADERS = {
    _DRN: _StandIn,
    f"{_DRN}.drn": _StandIn,
    "torchvision": _Torchvision,
    "mmengine.runner.checkpoint": _Checkpoint,
    "mmaction.testing._utils": _Testing,
}
