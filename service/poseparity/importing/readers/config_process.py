"""Evaluates an MMAction2 config in a process of its own, which readers/config.py starts.

python -m poseparity.importing.readers.config_process CONFIG ANSWER

A config in YAML or JSON is data. One in Python may do whatever a process may do that has neither network nor other
programs, and little time and memory, see confined.py. This process writes what the config says, as plain JSON, to the
file ANSWER: `poseparity.importing.readers.config` starts it and reads that. A problem that has a name is
`{"problem": [what, fix]}`.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from ...bundle.plain_files import shown
from ...errors import ImportRefused
from ...libraries.mmaction2 import registries
from ..unsupported import family_of
from .config import DATA, PYTHON, read_data
from .confined import confine, in_child
from .replaced import replaced, snapshot

_OWN = "use MMAction2's own class, or give yours another name; the bundle runs MMAction2's code and nothing else"


_SECONDS, _MORE_MEMORY, _FILE_SIZE = 3, 512 * 2**20, 2**20  # MMAction2's own take a tenth of a second
_WALL_SECONDS = 7  # about twice as much: on a busy machine a second of computing takes longer
_INSTALLED = "mmaction::"
_ANY_CONFIG = "stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py"
_MOST_BASES = 10  # all bases of a config together; of MMAction2's own none has more than 5
_BASES = "take its _base_ files as YAML or JSON, or write the config in Python"


class _Problem(Exception):
    """What was found, and what to do about it."""


def main(config: Path, answer: Path, unconfined: str | None = None) -> None:
    """Write what the config says.

    Args:
        unconfined: why this process may do more than a config should; it is told to the user.
    """
    try:
        content = _evaluate(config)
    except _Problem as problem:
        content = {"problem": list(problem.args)}
    except ImportRefused as error:
        content = {"problem": [str(error), error.fix]}
    if unconfined and config.suffix in PYTHON:
        content["unconfined"] = unconfined
    answer.write_text(json.dumps(content), encoding="utf-8")


def _confined(config: Path, answer: Path) -> int:
    """Let a fork that can do little evaluate the config, and end it when it takes too long."""
    _prepare()

    def work() -> None:
        main(config, answer, confine(seconds=_SECONDS, more_memory=_MORE_MEMORY, file_size=_FILE_SIZE))

    status = in_child(work, seconds=_WALL_SECONDS)
    if status is None or status < 0:
        answer.unlink(missing_ok=True)
        print(f"it was ended: a config may compute for {_SECONDS} s and take {_WALL_SECONDS} s", file=sys.stderr)
    elif status == 0 and not answer.is_file():
        print("it ended its process by itself", file=sys.stderr)
    return 0 if status == 0 and answer.is_file() else 1


@cache
def _prepare() -> None:
    """Import all that reading a config imports: it takes seconds, which are not of those that the config has."""
    registries()
    from mmengine.config import Config

    path, _ = Config._get_cfg_path(f"{_INSTALLED}skeleton/stgcn/{_ANY_CONFIG}", "config.py")
    Config.fromfile(path, import_custom_modules=False)


def _evaluate(path: Path) -> dict:
    registry = registries()
    known = {name: kind for table in (registry.TRANSFORMS, registry.MODELS) for name, kind in table.module_dict.items()}
    before = snapshot(registry)
    config = _read(path)
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


def _read(path: Path, bases_left: int = _MOST_BASES) -> Any:
    """A config with what its `_base_` files say: of Python by mmengine, of data without running anything."""
    from mmengine.config import Config

    if path.suffix in PYTHON:
        return Config.fromfile(str(path), import_custom_modules=False)
    content = read_data(path)
    bases = content.pop("_base_", [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases) or len(bases) > bases_left:
        raise _Problem(f"_base_ is {shown(bases)}, expected at most {bases_left} files, all bases together", _BASES)
    merged: dict = {}
    for base in bases:
        merged |= dict(_read(_base_file(base, path), bases_left - len(bases)))
    return Config(Config._merge_a_into_b(content, merged))


def _base_file(base: str, path: Path) -> Path:
    """Where a base of a config that is data lies: Python only where it is MMAction2's own."""
    if base.startswith(_INSTALLED):
        import mmaction

        folder = Path(mmaction.__file__).resolve().parent / ".mim/configs"
        found = (folder / base.removeprefix(_INSTALLED)).resolve()
        if not found.is_relative_to(folder) or not found.is_file():
            raise _Problem(f"_base_ is {shown(base)}, which MMAction2 does not have", _BASES)
        return found
    found = path.parent / base
    if found.suffix not in DATA or not found.is_file():
        raise _Problem(f"_base_ is {shown(base)}, expected a file in {', '.join(DATA)} or {_INSTALLED}...", _BASES)
    return found


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
        # mmengine marks the outer tables of a base config of another package: `_base_ = 'mmaction::...'`.
        scope = value.get("_scope_", "mmaction")
        if scope != "mmaction":
            raise _Problem(f"{where} has the _scope_ {scope!r}, expected 'mmaction'", "build on a config of MMAction2")
        table = {}
        for key, child in value.items():
            if not isinstance(key, str):
                raise _Problem(f"{where} has the key {key!r}, expected a name", "write it as a dict with names as keys")
            if key != "_scope_":
                table[key] = _plain(child, f"{where}.{key}", known)
        return table
    if isinstance(value, list | tuple):
        return [_plain(child, f"{where}[{position}]", known) for position, child in enumerate(value)]
    for name, kind in known.items():
        if kind is value:
            return name
    origin = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"
    raise _Problem(f"{where} is {origin}, which is neither plain data nor a class of MMAction2", _OWN)


if __name__ == "__main__":
    sys.exit(_confined(Path(sys.argv[1]), Path(sys.argv[2])))
