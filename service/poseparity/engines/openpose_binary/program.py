"""OpenPose's executable on this machine: where it is, what it is, and running it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ... import stop
from ...environment.files import sha256_file
from ...errors import EngineError
from ...numerics import read_pins
from ...settings import Settings

BINARY_VARIABLE, MODELS_VARIABLE = "POSEPARITY_OPENPOSE_BINARY", "POSEPARITY_OPENPOSE_MODELS"
# Where OpenPose looks for its COCO model, below --model_folder.
COCO_MODEL = Path("pose/coco/pose_iter_440000.caffemodel")
_VERSION_TIMEOUT_S = 60  # it computes nothing; only its libraries have to be loaded, from a slow disk perhaps
# OpenPose says what is wrong and then where; Caffe says it last, after much else.
_ERROR = "Error:"
_TAIL_BYTES = 4096  # of what a failed program said
_WORDS = 300  # characters of it that are told


@dataclass(frozen=True)
class Installation:
    """What the settings say of OpenPose on this machine; None where they say nothing.

    Attributes:
        executable: openpose.bin.
        models: the folder that it gets as --model_folder.
        timeout_s: seconds that it may take for one batch of frames.
    """

    executable: Path | None = None
    models: Path | None = None
    timeout_s: int = 600

    @classmethod
    def of(cls, settings: Settings) -> Installation:
        return cls(settings.openpose_binary, settings.openpose_models, settings.openpose_timeout_s)


@dataclass(frozen=True)
class Program:
    """An executable that was found and asked what it is.

    Attributes:
        version: what it prints for --version. OpenPose sets no version of its own, so that of gflags is the name alone.
        sha256, model_sha256: of the executable and of its COCO model: what really tells one from another.
    """

    executable: Path
    models: Path
    timeout_s: int
    version: str
    sha256: str
    model_sha256: str

    def run(self, flags: list[str], folder: Path) -> None:
        """Run it with these flags, `folder` being its working directory.

        Raises:
            EngineError: it cannot be started, takes too long, or ends with another status than 0.
        """
        _run([str(self.executable), *flags], folder, self.timeout_s)


def find_program(installation: Installation) -> Program:
    """Find the executable and its COCO model, and ask the executable what it is.

    Raises:
        EngineError: a setting is missing, a file is not there, or the executable cannot be run.
    """
    executable = _file(installation.executable, BINARY_VARIABLE, "OpenPose's executable, such as .../openpose.bin")
    models = _given(installation.models, MODELS_VARIABLE, "OpenPose's folder models/").resolve()
    model = _file(models / COCO_MODEL, MODELS_VARIABLE, "OpenPose's folder models/, with its COCO model in it")
    with tempfile.TemporaryDirectory(prefix="poseparity-openpose-") as folder:
        version = _run([str(executable), "--version"], Path(folder), _VERSION_TIMEOUT_S)
    return Program(
        executable=executable,
        models=models,
        timeout_s=installation.timeout_s,
        version=" ".join(version.split()),
        sha256=sha256_file(executable).hexdigest(),
        model_sha256=sha256_file(model).hexdigest(),
    )


def _given(path: Path | None, variable: str, what: str) -> Path:
    if path is None:
        raise EngineError(f"the bundle runs OpenPose's executable, and {variable} is unset", fix=f"set it to {what}")
    return path


def _file(path: Path | None, variable: str, what: str) -> Path:
    path = _given(path, variable, what).resolve()
    if not path.is_file():
        raise EngineError(f"{path} is no file", fix=f"set {variable} to {what}")
    return path


def _run(command: list[str], folder: Path, timeout_s: int) -> str:
    """What the command prints. It has the numerical pins in its environment, and never outlives this call."""
    name = Path(command[0]).name
    with tempfile.TemporaryFile(dir=folder) as out, tempfile.TemporaryFile(dir=folder) as err:
        try:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env={**os.environ, **read_pins()}, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise EngineError(
                f"{command[0]} cannot be started: {error.strerror}", fix=f"set {BINARY_VARIABLE} to an executable"
            ) from error
        try:
            status = stop.wait(process, timeout_s)
        except subprocess.TimeoutExpired as error:
            raise EngineError(
                f"{name} did not end within {timeout_s} seconds{_said(err, out)}",
                fix="send a shorter video, or raise POSEPARITY_OPENPOSE_TIMEOUT_S",
            ) from error
        finally:
            if process.poll() is None:  # with all that it started: a wrapper script's child would live on
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if status != 0:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}, expected 0"
            raise EngineError(f"{name} {how}{_said(err, out)}", fix="run it by hand on a folder of pictures")
        out.seek(0)
        return out.read().decode(errors="replace")


def _said(*files) -> str:
    """The last words of the first of these outputs that has any, or OpenPose's own "Error:" where they hold one."""
    for file in files:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        if words := " ".join(file.read().decode(errors="replace").split()):
            marked = words.find(_ERROR)
            return f": {words[-_WORDS:] if marked < 0 else words[marked : marked + _WORDS]}"
    return ", and said nothing"
