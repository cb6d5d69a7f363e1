"""Evaluates an MMAction2 config in a process of its own: python -m poseparity.importing.config_process CONFIG ANSWER

The config is Python, and may do whatever the user may do. This process writes what it says, as plain JSON, to the file
ANSWER: `poseparity.importing.config` starts it and reads that. A problem that has a name is `{"problem": [what, fix]}`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ..stages._mmaction2 import registries
from .replaced import replaced, snapshot
from .unsupported import family_of

_OWN = "use MMAction2's own class, or give yours another name; the bundle runs MMAction2's code and nothing else"


class _Problem(Exception):
    """What was found, and what to do about it."""


def main(config: Path, answer: Path) -> None:
    try:
        content = _evaluate(config)
    except _Problem as problem:
        content = {"problem": list(problem.args)}
    answer.write_text(json.dumps(content), encoding="utf-8")


def _evaluate(path: Path) -> dict:
    registry = registries()
    from mmengine.config import Config

    known = {name: kind for table in (registry.TRANSFORMS, registry.MODELS) for name, kind in table.module_dict.items()}
    before = snapshot(registry)
    config = Config.fromfile(str(path), import_custom_modules=False)
    if family := family_of(config.get("model"), [pipeline for _, pipeline in _pipelines(config)]):
        raise _Problem(*family)
    if modules := (config.get("custom_imports") or {}).get("imports"):
        raise _Problem(f"the config imports code of its own (custom_imports): {modules!r}", f"remove it; {_OWN}")
    if changed := replaced(before, snapshot(registry)):
        raise _Problem(f"the config replaces {', '.join(changed[:3])} of MMAction2 by code of its own", _OWN)
    scope = config.get("default_scope", "mmaction")
    if scope != "mmaction":
        raise _Problem(f"default_scope is {scope!r}, expected 'mmaction'", "import a config of MMAction2")
    return {
        "model": _plain(config.get("model"), "model", known),
        "pipelines": {name: _plain(value, name, known) for name, value in _pipelines(config)},
    }


def _pipelines(config) -> list[tuple[str, Any]]:
    """The test pipelines that the config holds, by the name under which it holds them."""
    found = []
    if (pipeline := config.get("test_pipeline")) is not None:
        found.append(("test_pipeline", pipeline))
    name, dataset = "test_dataloader.dataset", (config.get("test_dataloader") or {}).get("dataset")
    while dataset is not None and "pipeline" not in dataset and dataset.get("dataset") is not None:
        name, dataset = f"{name}.dataset", dataset["dataset"]
    if dataset is not None and dataset.get("pipeline") is not None:
        found.append((f"{name}.pipeline", dataset["pipeline"]))
    return found


def _plain(value: Any, where: str, known: dict[str, type]) -> Any:
    """JSON's own types only; a class of MMAction2 becomes the name that it is registered under."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        children = _without_scope(value, where).items()
        return {_text(key, where): _plain(child, f"{where}.{key}", known) for key, child in children}
    if isinstance(value, list | tuple):
        return [_plain(child, f"{where}[{position}]", known) for position, child in enumerate(value)]
    for name, kind in known.items():
        if kind is value:
            return name
    origin = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"
    raise _Problem(f"{where} is {origin}, which is neither plain data nor a class of MMAction2", _OWN)


def _without_scope(table: dict, where: str) -> dict:
    """mmengine marks the outer tables of a base config of another package: `_base_ = 'mmaction::...'`."""
    scope = table.get("_scope_", "mmaction")
    if scope != "mmaction":
        raise _Problem(f"{where} has the _scope_ {scope!r}, expected 'mmaction'", "build on a config of MMAction2")
    return {key: value for key, value in table.items() if key != "_scope_"}


def _text(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise _Problem(f"{where} has the key {key!r}, expected a name", "write it as a dict with names as keys")
    return key


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
