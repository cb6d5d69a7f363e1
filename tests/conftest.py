"""Fixtures that several kinds of tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
DEMO_BUNDLE = ROOT / "service/bundles/demo"

# Every run tries the same examples: what fails is in the change. To look for more: pytest --hypothesis-profile=default.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile("same")

_FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config) -> None:
    config.stash[_FIGURES] = []


def pytest_terminal_summary(terminalreporter, config) -> None:
    if config.stash[_FIGURES]:
        terminalreporter.section("measured")
        for line in config.stash[_FIGURES]:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def figures(pytestconfig) -> list[str]:
    """Lines that a test adds are printed at the end of the run: what was measured, whether it passed or not."""
    return pytestconfig.stash[_FIGURES]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real inputs, which are no part of the project."""
    folder = os.environ.get("POSEPARITY_REAL_DATA")
    if not folder:
        pytest.skip("POSEPARITY_REAL_DATA is unset: real videos and the real golf swing were NOT tested")
    return Path(folder)


@pytest.fixture(scope="session")
def demo_bundle():
    from poseparity.bundle.bundle import load_bundle

    return load_bundle(DEMO_BUNDLE)


@pytest.fixture(scope="session")
def demo_clip(demo_bundle) -> Path:
    return demo_bundle.folder / demo_bundle.demo.clip


@pytest.fixture(scope="session")
def pipeline():
    """The demo bundle's pipeline; it refuses to load where the numerical pins are not in effect."""
    from poseparity.settings import load_settings
    from poseparity.startup import load_pipeline

    return load_pipeline(load_settings(bundle=DEMO_BUNDLE))


@pytest.fixture(scope="session")
def demo_result(pipeline, demo_clip):
    return pipeline.run_video(demo_clip)


@pytest.fixture(scope="session")
def training_runs(tmp_path_factory) -> Path:
    """Every model of tests/mmaction2_run.py, trained by MMAction2 in a process of its own."""
    folder = tmp_path_factory.mktemp("mmaction2")
    subprocess.run([sys.executable, "-m", "tests.mmaction2_run", folder], cwd=ROOT, check=True, timeout=300)
    return folder


@pytest.fixture(scope="session")
def imported_bundle(training_runs, tmp_path_factory, demo_clip, demo_result):
    """`imported_bundle(name)`: the bundle of that training run, imported once; see mmaction2_bundles.py."""
    from tests.mmaction2_bundles import importer

    return importer(training_runs, tmp_path_factory.mktemp("imported"), demo_clip, demo_result.kept)


@pytest.fixture(scope="session")
def golf_model(tmp_path_factory):
    """A model of golf_model.py, trained by MMAction2 in a process of its own."""
    from tests.golf_model import GolfModel

    folder = tmp_path_factory.mktemp("golf")
    subprocess.run([sys.executable, "-m", "tests.golf_model", folder], cwd=ROOT, check=True, timeout=300)
    return GolfModel(folder)


@pytest.fixture(scope="session")
def golf_import(golf_model, tmp_path_factory, demo_clip) -> tuple[Path, str]:
    """The bundle of that model, imported as a user would, and what the command printed."""
    output = tmp_path_factory.mktemp("golf_bundle") / "golf"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("poseparity"), "bundle", "import", output, "--name", "golf", "--licence",
            "CC0-1.0", "--labels", "Ordinary,Professional", "--recogniser-config", golf_model.config,
            "--recogniser-checkpoint", golf_model.checkpoint, "--training-data", golf_model.annotations,
            "--like", DEMO_BUNDLE, "--clip", demo_clip, "--clip-label", "Professional",
        ],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return output, done.stdout


@pytest.fixture(scope="session")
def cuda() -> str:
    """The GPU's name for torch."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device: GPU and CPU were NOT compared")
    return "cuda"
