"""The checked wheel folder: every file that a lock names, fetched once, then used without any network.

pip does the downloading, so its own configuration (index, proxy, certificates, find-links) is the only place where a
registry is chosen. PyTorch's CPU builds are not on the main index: where the configured indexes lack them, PyTorch's
own index is asked.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from scripts.locking.errors import BuildError
from scripts.locking.locks import ROOT, Pin, alone, normalise, read_lock, sha256

TORCH_INDEX = os.environ.get("POSEPARITY_TORCH_INDEX", "https://download.pytorch.org/whl/cpu")
CACHE = ROOT / ".cache" / "wheels"

_WHEEL = re.compile(r"^(?P<name>[A-Za-z0-9._]+)-(?P<version>[^-]+)-.*\.whl$")


def folder_for(lock: Path) -> Path:
    """Return where the wheels of a lock are kept: one folder for each content of the lock."""
    return CACHE / sha256(lock)[:16]


def fetch(lock: Path) -> Path:
    """Make sure that the folder of `lock` holds every wheel, checked, and return it; raises BuildError."""
    folder = folder_for(lock)
    if not folder.is_dir():
        with alone("wheels"):
            if not folder.is_dir():
                _fill(lock, folder)
    return folder


def check(lock: Path, folder: Path) -> dict[str, Path]:
    """Return the wheel of each pin by normalised name.

    Raises BuildError naming the first wheel that is missing, that the lock does not name, or whose SHA-256 is not in
    the lock.
    """
    pins, wheels = read_lock(lock), _by_pin(folder)
    for key, path in wheels.items():
        if key not in {(name, pin.version) for name, pin in pins.items()}:
            raise BuildError(f"{path.name} is in {_shown(folder)} but not in {lock.name}", fix=f"delete {_shown(path)}")
    for name, pin in pins.items():
        _check_wheel(pin, wheels.get((name, pin.version)), lock, folder)
    return {name: wheels[name, pin.version] for name, pin in pins.items()}


def download_without_hash(requirement: str, folder: Path) -> None:
    """Fetch one wheel into `folder` for resolving, when no lock names its hash yet (used by scripts/lock)."""
    command = ["download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), requirement]
    if _pip(command).returncode != 0:
        _raise_unless_done(_pip([*command, "--index-url", TORCH_INDEX]), requirement)


def _fill(lock: Path, folder: Path) -> None:
    """Collect the wheels beside `folder`, and give them its name once all are there and checked."""
    partial, pins = folder.with_suffix(".partial"), read_lock(lock)
    partial.mkdir(parents=True, exist_ok=True)
    _link_known_wheels(pins, partial)
    _download_missing(pins, partial)
    check(lock, partial)
    partial.rename(folder)


def _check_wheel(pin: Pin, path: Path | None, lock: Path, folder: Path) -> None:
    if path is None:
        raise BuildError(f"{_shown(folder)} has no wheel of {pin}, which {lock.name} names", fix="run scripts/wheels")
    found = sha256(path)
    if found not in pin.hashes:
        raise BuildError(
            f"{path.name} has sha256 {found}, which {lock.name} does not allow for {pin}",
            fix=f"delete {_shown(folder)} and run scripts/wheels; if it comes back, do not trust where it comes from",
        )


def _link_known_wheels(pins: dict[str, Pin], folder: Path) -> None:
    """Take over the wheels that an earlier lock's folder holds already, if their hash is the one asked for."""
    for other in (path for path in CACHE.iterdir() if path.is_dir() and path != folder):
        for (name, version), wheel in _by_pin(other).items():
            pin, target = pins.get(name), folder / wheel.name
            if pin and pin.version == version and not target.exists() and sha256(wheel) in pin.hashes:
                os.link(wheel, target)


def _download_missing(pins: dict[str, Pin], folder: Path) -> None:
    present = _by_pin(folder)
    missing = [pin for name, pin in pins.items() if (name, pin.version) not in present]
    _download([pin for pin in missing if not pin.is_local_build], folder)
    for pin in (pin for pin in missing if pin.is_local_build):
        _download_local_build(pin, folder)


def _download(pins: list[Pin], folder: Path) -> None:
    if pins:
        _raise_unless_done(_pip_download(pins, folder), f"{len(pins)} packages")


def _download_local_build(pin: Pin, folder: Path) -> None:
    if _pip_download([pin], folder).returncode != 0:
        _raise_unless_done(_pip_download([pin], folder, "--index-url", TORCH_INDEX), str(pin))


def _pip_download(pins: Iterable[Pin], folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    wanted = folder.with_suffix(".txt")
    wanted.write_text("".join(_requirement(pin) for pin in pins), "utf-8")
    command = ["download", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(folder)]
    try:
        return _pip([*command, "--requirement", str(wanted), *options])
    finally:
        wanted.unlink()


def _requirement(pin: Pin) -> str:
    return " ".join([str(pin), *(f"--hash=sha256:{digest}" for digest in sorted(pin.hashes))]) + "\n"


def _pip(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run pip; its output is kept for the error message."""
    return subprocess.run([_interpreter_with_pip(), "-m", "pip", "--quiet", *arguments], capture_output=True, text=True)


def _interpreter_with_pip() -> str:
    """The controller's interpreter where it exists: a bare Debian has no pip outside of environments."""
    controller = ROOT / ".venv" / "controller" / "bin" / "python"
    return str(controller) if controller.exists() else sys.executable


def _raise_unless_done(result: subprocess.CompletedProcess[str], what: str) -> None:
    if result.returncode != 0:
        reason = next((line for line in reversed(result.stderr.splitlines()) if line.startswith("ERROR")), "no reason")
        raise BuildError(
            f"pip could not download {what}: {reason}",
            fix="check pip's index configuration (`pip config list`), proxy and certificates, then run it again",
        )


def _by_pin(folder: Path) -> dict[tuple[str, str], Path]:
    """Return the wheels of a folder by normalised name and version, as their file names state them."""
    matches = ((path, _WHEEL.match(path.name)) for path in sorted(folder.iterdir()))
    return {(normalise(match["name"]), match["version"]): path for path, match in matches if match}


def _shown(path: Path) -> str:
    """Return a path as the user would type it from the repository's root."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
