"""The numerical pins and torch's determinism settings.

lockfiles/numerics.env is the only list of the pins. They act when a library loads, so they must be in the environment
before the interpreter starts: `restart_with_pins` starts the command line again with them, `enforce` proves, at the
program's start, that each of them took effect.
"""

from __future__ import annotations

import os
import random
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

from .environment.files import VerifyError
from .environment.machine import describe_cpu
from .environment.pins import probe_pins
from .environment.pins import read_pins as parse_pins
from .errors import PinError, ProcessorError
from .settings import ROOT

PINS_FILE = ROOT / "lockfiles/numerics.env"
SEED = 42  # any number will do, as long as it is the same everywhere
REQUIRED_FEATURES = ("avx2", "fma")  # what numerics.env holds the libraries to, whatever else a processor has
_RESTARTED = "POSEPARITY_RESTARTED"

# Two libraries say at every start that a pin switches off what this CPU lacks, or that it was obeyed. `enforce` knows
# better whether it was, and a user would take such a line for a fault.
warnings.filterwarnings("ignore", "During parsing environment variable 'NPY_DISABLE_CPU_FEATURES'", RuntimeWarning)
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
_FIX = "start it through `poseparity`, the image's entrypoint, or with lockfiles/numerics.env in the environment"


def read_pins(path: Path = PINS_FILE) -> dict[str, str]:
    """The pins: variable to value, in the file's order.

    Raises:
        PinError: the file is missing, or a line is not NAME=VALUE.
    """
    try:
        return parse_pins(path)
    except VerifyError as error:
        raise PinError(str(error), fix="restore the file from the release: it lists the numerical pins") from error


def require_processor() -> None:
    """Refuse a processor on which the pins would choose instructions that it lacks: call it before NumPy is loaded.

    A processor of another architecture runs other code and is not refused: its results hold within a tolerance.

    Raises:
        ProcessorError: it has no AVX2 or no FMA.
    """
    cpu = describe_cpu()
    missing = [name for name in REQUIRED_FEATURES if cpu["features"].get(name) is False]
    if missing:
        names = " and ".join(name.upper() for name in missing)
        raise ProcessorError(
            f"the processor ({cpu['model']}) lacks {names}: the pins run AVX2 and FMA code on every machine, "
            "so that results are equal bit for bit",
            fix="use a processor from Intel's Haswell (2013) or AMD's Excavator (2015) on; let a virtual machine see "
            'the host\'s processor (model "host")',
            details={"processor": cpu["model"], "missing": missing},
        )


def unset_pins(environment: Mapping[str, str]) -> dict[str, str]:
    """The pins that `environment` lacks or has with another value."""
    return {name: value for name, value in read_pins().items() if environment.get(name) != value}


def restart_with_pins() -> None:
    """Start this program again with the pins set, unless they are: they act only on libraries loaded after them.

    Raises:
        PinError: they are still not set after a restart.
    """
    absent = unset_pins(os.environ)
    if not absent:
        return
    if os.environ.get(_RESTARTED):
        raise PinError(f"{', '.join(absent)} could not be set", fix="find what unsets it: a sitecustomize, a wrapper")
    environment = {**os.environ, **absent, _RESTARTED: "1"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def make_deterministic() -> None:
    """Seed every generator with 42, and switch off what may choose another algorithm from run to run."""
    import cv2
    import numpy as np
    import torch

    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)  # every CUDA device as well
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    # The same flag as `use_deterministic_algorithms(True)`, which loads torch's compiler too, to tell it of the flag: a
    # fifth of a start, for code that is never compiled here.
    torch.set_deterministic_debug_mode("error")
    limit_threads()
    cv2.ocl.setUseOpenCL(False)


def limit_threads() -> None:
    """As many threads in torch and OpenCV as the pin says, which is one; as OMP_NUM_THREADS says in an unpinned run.

    Called again after models are loaded: ultralytics sets both to its own choice.

    Raises:
        PinError: OMP_NUM_THREADS is no number.
    """
    import cv2
    import torch

    threads = os.environ.get("OMP_NUM_THREADS", "1")
    if not threads.isdecimal() or int(threads) < 1:
        raise PinError(f"OMP_NUM_THREADS is {threads!r}, expected a number of threads", fix="set it to 1, or unset it")
    torch.set_num_threads(int(threads))
    cv2.setNumThreads(int(threads))


def enforce() -> list[dict]:
    """Prove that every pin took effect, as the loaded libraries themselves report it.

    Returns:
        One dict a pin: name, wanted, set, effective, ok, how.

    Raises:
        ProcessorError: see `require_processor`.
        PinError: names the first pin that did not take effect.
    """
    require_processor()
    pins = probe_pins(read_pins())
    for pin in pins:
        if not pin["ok"]:
            raise PinError(
                f"pin {pin['name']}={pin['wanted']} did not take effect: {pin['how']} says {pin['effective']!r}",
                fix=_FIX,
                details={"pin": pin["name"]},
            )
    return pins
