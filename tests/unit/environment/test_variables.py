"""The variables that a snapshot holds, and those that it must not."""

from __future__ import annotations

import hashlib

from poseparity.environment.variables import describe_variables


def test_variables_are_those_that_libraries_read_but_for_pins_and_secrets(tmp_path):
    recorded = {
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
        "PYTHONOPTIMIZE": "1",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2",
        "LD_PRELOAD": "/x.so",
        "NVIDIA_TF32_OVERRIDE": "1",
    }
    others = {
        "OMP_NUM_THREADS": "3",
        "MY_PIN": "1",
        "YOLO_API_KEY": "a",
        "TORCH_TOKEN": "b",
        "PYTHON_PASSWORD": "c",
        "AWS_SECRET_ACCESS_KEY": "d",
        "HOME": "/h",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVPL_BLAS_DEBUG": "1",
    }
    assert describe_variables({**others, **recorded}, ["MY_PIN"]) == recorded


def test_of_a_value_that_may_hold_a_secret_there_is_a_digest():
    values = {"PYTHON_A": "https://user:word@host", "MKL_B": "x" * 201, "MKL_C": "line\nline", "MKL_D": "sp\xe9cial"}
    shown = describe_variables(values, ())
    assert {name: text.split()[0] for name, text in shown.items()} == dict.fromkeys(values, "sha256")
    assert shown["MKL_B"] == f"sha256 {hashlib.sha256(b'x' * 201).hexdigest()[:12]}"


def test_of_folders_of_libraries_those_count_that_exist(tmp_path):
    """cv2 names one that does not exist to every program that is started after it was loaded."""
    assert describe_variables({"LD_LIBRARY_PATH": "/nowhere/lib64:"}, ()) == {}
    given = {"LD_LIBRARY_PATH": f"/nowhere:{tmp_path}:"}
    assert describe_variables(given, ()) == {"LD_LIBRARY_PATH": str(tmp_path)}
