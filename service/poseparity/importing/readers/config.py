"""An MMAction2 config as plain data, evaluated in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...bundle.plain_files import read_json, read_yaml, shown
from ...errors import BundleError, ImportRefused
from ...numerics import read_pins

PYTHON, DATA = (".py",), (".yaml", ".yml", ".json")
_WARNING = (
    "the config is Python and is run in a process of its own: import only configs that you trust. It gets no network "
    "and starts no programs, and can read what you can read"
)
_TIMEOUT = 120  # most of it is for importing MMAction2, see config_process.py
_SERVICE = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class TestConfig:
    """What a config says about testing.

    Attributes:
        model: the model's table, plain.
        pipeline: the transforms of the test pipeline, in order, plain.
        notes: what the user should know of how it was read, one line each.
    """

    __test__ = False  # no test, whatever pytest thinks of its name

    model: dict
    pipeline: list[dict]
    notes: tuple[str, ...] = ()


def warning_of(path: Path) -> str:
    """What to say before a config is read."""
    return _WARNING if path.suffix in PYTHON else "the config is data: nothing in it is run"


def read_config(path: Path) -> TestConfig:
    """Evaluate a config (.py, .json or .yaml) with mmengine and return its model and its test pipeline.

    Raises:
        ImportRefused: it fails, brings code of its own, or holds no model or no single test pipeline.
    """
    if not path.is_file():
        raise ImportRefused(f"{path} is no file", fix="check the path of --recogniser-config")
    if path.suffix not in PYTHON + DATA:
        raise ImportRefused(
            f"{path.name} is no config by its name, expected {', '.join(PYTHON + DATA)}", fix="give it its right name"
        )
    if path.suffix in DATA:
        read_data(path)  # what is no data is told before MMAction2 is imported, which takes seconds
    with tempfile.TemporaryDirectory(prefix="poseparity-config-") as folder:
        return understood(path, _evaluate(path, Path(folder)))


def read_data(path: Path) -> dict[str, Any]:
    """The tables of one file in YAML or JSON.

    Raises:
        ImportRefused: it is too large, holds more than plain values, or no tables.
    """
    fix = "write a config that holds plain values only, or write it in Python"
    try:
        content = read_json(path, fix=fix) if path.suffix == ".json" else read_yaml(path, fix=fix)
    except BundleError as error:
        raise ImportRefused(str(error), fix=error.fix) from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ImportRefused(f"{path.name} holds {shown(content)}, expected the tables of a config", fix=fix)
    return content


def understood(path: Path, content: Any) -> TestConfig:
    """What config_process.py wrote of a config, once it is clear what the model is tested with."""
    if not isinstance(content, dict) or not ("problem" in content or {"model", "pipelines"} <= content.keys()):
        raise ImportRefused(f"{path.name} ended its evaluation by itself", fix="import a config that only says what is")
    if "problem" in content:
        problem = content["problem"]
        if not isinstance(problem, list) or len(problem) != 2:  # a config can write its answer by itself
            problem = [shown(problem), "see what the config does"]
        found, fix = (" ".join(str(words).split())[:500] for words in problem)
        raise ImportRefused(f"{path.name}: {found}", fix=fix)
    if not isinstance(content["model"], dict):
        raise ImportRefused(f"{path.name} has no model", fix="import the config that the model was trained with")
    if not isinstance(content["pipelines"], dict):
        raise ImportRefused(f"{path.name} has no pipelines", fix="import the config that the model was tested with")
    notes = ()
    if why := content.get("unconfined"):
        notes = (
            f"WARNING: {path.name} was run WITH the network and able to start programs, because this machine's kernel "
            f"does not let either be taken away ({why}): only a config that you trust should have been",
        )
    return TestConfig(content["model"], _one_pipeline(path, content["pipelines"]), notes)


def _evaluate(path: Path, folder: Path) -> Any:
    answer, work, home = folder / "answer.json", folder / "work", folder / "home"
    work.mkdir()
    home.mkdir()
    command = [sys.executable, "-m", "poseparity.importing.readers.config_process", str(path.resolve()), str(answer)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT,
            check=False, cwd=work, env=_environment(work, home),
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ImportRefused(f"{path.name} was still running after {_TIMEOUT} s", fix="see what it does") from error
    if done.returncode != 0 or not answer.is_file():
        last = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1][:300]
        raise ImportRefused(f"{path.name} cannot be evaluated: {last}", fix="correct it, and keep its _base_ files")
    try:
        return read_json(answer, fix="import a config of plain values")
    except BundleError as error:
        words = str(error).replace(str(answer), "what it says")
        raise ImportRefused(f"{path.name} says what no bundle can hold: {words}", fix=error.fix) from error


def _environment(work: Path, home: Path) -> dict[str, str]:
    """Nothing of the user's: no tokens, no paths, no home."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH") if name in os.environ}
    own = {"HOME": str(home), "TMPDIR": str(work), "PYTHONPATH": str(_SERVICE), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **read_pins(), **own}


def _one_pipeline(path: Path, pipelines: dict[str, list[dict]]) -> list[dict]:
    if not pipelines:
        raise ImportRefused(
            f"{path.name} has neither test_pipeline nor test_dataloader.dataset.pipeline",
            fix="import the config that the model was tested with",
        )
    (name, pipeline), *others = pipelines.items()
    for other, content in others:
        if content != pipeline:
            raise ImportRefused(
                f"{path.name}: {name} and {other} differ, so it is not clear how the model is tested",
                fix="make them equal: MMAction2's Runner takes the dataloader's, inference_skeleton the other",
            )
    if not isinstance(pipeline, list) or not all(isinstance(step, dict) and "type" in step for step in pipeline):
        raise ImportRefused(f"{path.name}: {name} is no list of transforms", fix="correct it")
    return pipeline
