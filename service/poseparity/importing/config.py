"""An MMAction2 config as plain data, evaluated in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImportRefused

WARNING = "the config is Python and is run in a process of its own: import only configs that you trust"
_TIMEOUT = 300


@dataclass(frozen=True)
class TestConfig:
    """What a config says about testing.

    Attributes:
        model: the model's table, plain.
        pipeline: the transforms of the test pipeline, in order, plain.
    """

    __test__ = False  # no test, whatever pytest thinks of its name

    model: dict
    pipeline: list[dict]


def read_config(path: Path) -> TestConfig:
    """Evaluate a config (.py, .json or .yaml) with mmengine and return its model and its test pipeline.

    Raises:
        ImportRefused: it fails, brings code of its own, or holds no model or no single test pipeline.
    """
    if not path.is_file():
        raise ImportRefused(f"{path} is no file", fix="check the path of --recogniser-config")
    with tempfile.TemporaryDirectory(prefix="poseparity-config-") as folder:
        return understood(path, _evaluate(path, Path(folder) / "answer.json"))


def understood(path: Path, content: dict) -> TestConfig:
    """What config_process.py wrote of a config, once it is clear what the model is tested with."""
    if problem := content.get("problem"):
        raise ImportRefused(f"{path.name}: {problem[0]}", fix=problem[1])
    if not isinstance(content["model"], dict):
        raise ImportRefused(f"{path.name} has no model", fix="import the config that the model was trained with")
    return TestConfig(content["model"], _one_pipeline(path, content["pipelines"]))


def _evaluate(path: Path, answer: Path) -> dict:
    command = [sys.executable, "-m", "poseparity.importing.config_process", str(path.resolve()), str(answer)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ImportRefused(f"{path.name} was still running after {_TIMEOUT} s", fix="see what it does") from error
    if done.returncode != 0 or not answer.is_file():
        last = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
        raise ImportRefused(f"{path.name} cannot be evaluated: {last}", fix="correct it, and keep its _base_ files")
    return json.loads(answer.read_text(encoding="utf-8"))


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
