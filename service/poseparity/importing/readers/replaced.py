"""What a config replaced in the code of MMAction2, MMCV and MMEngine, found by looking before and after it ran.

A bundle runs their code as it was installed, so a model that was trained with something else in its place would answer
differently. NumPy and torch are not looked at, and neither is what a training script does outside of its config.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

_PACKAGES = ("mmaction", "mmcv", "mmengine")
_REGISTRIES = ("TRANSFORMS", "MODELS")
_CODE = (FunctionType, classmethod, staticmethod, property, type)

Snapshot = dict[str, tuple]


def snapshot(registry: ModuleType) -> Snapshot:
    """What every registered name stands for, and every function, class and method of the packages, by its name.

    Args:
        registry: mmaction.registry.
    """
    found: Snapshot = {}
    for table in _REGISTRIES:
        for name, kind in getattr(registry, table).module_dict.items():
            found[name] = (kind, *(dict(vars(kind)).values() if isinstance(kind, type) else ()))
    for path, value in _code_of_packages():
        function = getattr(value, "__func__", value)  # which can be changed without being replaced
        inside = (function.__code__, function.__defaults__) if isinstance(function, FunctionType) else ()
        found[path] = (value, *inside)
    return found


def replaced(before: Snapshot, after: Snapshot) -> list[str]:
    """The names that stand for something else than before."""
    changed = []
    for name, parts in before.items():
        now = after.get(name, ())
        if len(parts) != len(now) or any(one is not other for one, other in zip(parts, now, strict=True)):
            changed.append(name)
    return changed


def _code_of_packages() -> Iterator[tuple[str, Any]]:
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] not in _PACKAGES or not isinstance(module, ModuleType):
            continue
        for name, value in list(vars(module).items()):
            if not isinstance(value, _CODE):
                continue
            yield f"{module_name}.{name}", value
            if isinstance(value, type) and value.__module__ == module_name:
                members = ((key, part) for key, part in dict(vars(value)).items() if isinstance(part, _CODE))
                yield from ((f"{module_name}.{name}.{key}", part) for key, part in members)
