"""MMAction2's own tests of what a skeleton model is made of, on the locked packages.

They are in neither its wheel nor its source archive, and no part of this project: MMACTION2_TESTS names the folder
`tests` of a checkout of version 1.2.0.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FILES = (
    "datasets/transforms/test_pose_transforms.py",
    "models/backbones/test_aagcn.py",
    "models/backbones/test_stgcn.py",
    "models/heads/test_gcn_head.py",
    "models/recognizers/test_recognizer_gcn.py",
)


@pytest.fixture
def folder() -> Path:
    found = os.environ.get("MMACTION2_TESTS")
    if not found:
        pytest.skip("MMACTION2_TESTS is unset: MMAction2's own tests were NOT run")
    return Path(found)


def test_mmaction2s_own_tests_pass(folder, tmp_path, figures):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # not the checkout's
    # A checkout has a package of the name, too: with importlib, the one that is tested is the installed one.
    options = ("-c", tmp_path / "pytest.ini", "--import-mode=importlib", "-p", "no:cacheprovider", "-W", "ignore", "-q")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *(folder / name for name in FILES)],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    figures.append(f"MMAction2's own tests: {done.stdout.splitlines()[-1]}")
