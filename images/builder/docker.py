"""Docker's command line client, as far as the builder needs it (20.10 or newer, classic builder or BuildKit)."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from scripts.locking.errors import BuildError


class EngineError(BuildError):
    """No engine answers."""


@dataclass(frozen=True)
class Image:
    """An image that the engine holds: its id, its size in bytes and its labels."""

    id: str
    size: int
    labels: dict[str, str]


def inspect(reference: str) -> Image | None:
    """Return the image, or None when the engine does not hold it; raises EngineError."""
    result = _run(["image", "inspect", reference])
    if result.returncode == 0:
        found = json.loads(result.stdout)[0]
        return Image(found["Id"], found["Size"], found["Config"]["Labels"] or {})
    if "no such image" in result.stderr.lower():
        return None
    raise EngineError(
        f"Docker's engine does not answer: {result.stderr.strip()}",
        fix="start it, add your user to the group docker, or set DOCKER_HOST",
    )


def pull(reference: str) -> None:
    """Fetch an image named by digest; raises BuildError with what the registry said."""
    result = _run(["pull", "--quiet", reference])
    if result.returncode != 0:
        raise BuildError(
            f"the parent image {reference} cannot be had: {result.stderr.strip()}",
            fix="correct the name and digest, log in to its registry, or leave the parent at `rootfs`",
        )


def import_root(stream: BinaryIO, reference: str, labels: dict[str, str]) -> None:
    """Make an image of one layer from a tar stream of a root file system."""
    changes = [f"--change=LABEL {name}={json.dumps(value)}" for name, value in labels.items()]
    command = ["docker", "import", *changes, "-", reference]
    result = subprocess.run(command, stdin=stream, capture_output=True, text=True)
    if result.returncode != 0:
        raise BuildError(f"docker import failed: {result.stderr.strip()}", fix="see the engine's log")


def build(reference: str, write_context: Callable[[BinaryIO], None], arguments: dict[str, str]) -> None:
    """Build an image without network; `write_context` writes the tar that holds the Dockerfile and all it copies."""
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    command = ["docker", "build", "--network", "none", "--force-rm", "--tag", reference, *options, "-"]
    # The builder's output goes to stderr: stdout carries the one JSON answer.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr) as process:
        try:
            write_context(process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass  # the client gave up; its exit status and message follow
    if process.returncode != 0:
        raise BuildError(f"docker build of {reference} failed", fix="see the builder's output above")


def remove_stage(label: str) -> None:
    """Delete what the classic builder keeps of an earlier stage (2 GB here); BuildKit keeps nothing."""
    found = _run(["image", "ls", "--quiet", "--no-trunc", "--filter", "dangling=true", "--filter", f"label={label}"])
    for identity in found.stdout.split():
        _run(["image", "rm", identity])


def _run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise EngineError("there is no `docker` command", fix="as root: apt-get install docker.io") from error
