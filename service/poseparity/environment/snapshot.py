"""Taking a snapshot, and its file."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .child import probe_in_child
from .files import FORMAT, VerifyError, read_text
from .fingerprint import add_libraries
from .imports import describe_imports, describe_unrecorded
from .libm import describe_libm
from .machine import (
    describe_cpu,
    describe_interpreter,
    describe_libc,
    describe_machine,
    describe_os,
    fill_unknown_features,
)
from .modules import add_origin
from .packages import cv2_providers, describe_packages, find_distributions, group_by_name
from .pins import describe_pins, read_pins
from .project import default_root, describe_bundle, describe_code, describe_locks, find_bundle
from .shared_libraries import describe_libraries
from .startup import describe_startup
from .variables import describe_variables, environment_at_start

KIND = "poseparity-environment"


def take_snapshot(root: Path | None = None, *, pins_file: Path | None = None, bundle: Path | None = None,
                  integrity: bool = True, apply_pins: bool = False) -> dict:
    """Everything that parity.toml judges about the interpreter that runs this, JSON-ready.

    Installed files are hashed here by threads while a child process imports the modules. `apply_pins` sets the pins for
    that child, for a shell that does not; the snapshot says so. Raises VerifyError where a file named is not usable.
    """
    started = time.monotonic()
    root = (default_root() if root is None else Path(root)).resolve()
    pins_path = root / "lockfiles" / "numerics.env" if pins_file is None else Path(pins_file)
    pins = read_pins(pins_path) if pins_file is not None or pins_path.is_file() else None
    environ = {**os.environ, **(pins if apply_pins and pins else {})}
    with ThreadPoolExecutor(1) as background:
        child = background.submit(probe_in_child, pins or {}, environ, root)
        groups = group_by_name(find_distributions())
        snapshot = {**describe_host(), "packages": describe_packages(groups, integrity),
                    "cv2_providers": cv2_providers(groups), "startup": describe_startup(groups),
                    "imports": {**describe_imports(root, groups), "unrecorded": describe_unrecorded(groups)},
                    "variables": describe_variables(environment_at_start(), pins or ()),
                    "bundle": describe_bundle(find_bundle(root) if bundle is None else Path(bundle)),
                    "code": describe_code(root), "locks": describe_locks(root)}
        probed = child.result()
    snapshot["imports"]["bytecode"] = probed.bytecode
    snapshot["libraries"] = describe_libraries(probed.libraries, groups, root)
    snapshot["modules"] = add_origin(probed.modules, groups)
    snapshot["pins"] = describe_pins(pins_path, pins, probed.pins, apply_pins)
    snapshot["fingerprint"] = add_libraries(probed.fingerprint, snapshot["modules"])
    seen_by_numpy = probed.modules["numpy"]["build"].get("cpu_features", ())
    snapshot["cpu"]["features"] = fill_unknown_features(snapshot["cpu"]["features"], seen_by_numpy)
    return {"kind": KIND, "format": FORMAT, "taken": describe_taking(started), **snapshot}


def describe_host() -> dict:
    return {"interpreter": describe_interpreter(), "os": describe_os(), "libc": describe_libc(),
            "libm": describe_libm(), "machine": describe_machine(), "cpu": describe_cpu()}


def describe_taking(started: float) -> dict:
    return {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "host": platform.node(),
            "seconds": round(time.monotonic() - started, 2)}


def load_snapshot(path: Path) -> dict:
    """A snapshot's file, checked to be one of this format; raises VerifyError."""
    text = read_text(Path(path), "the snapshot")
    try:
        snapshot = json.loads(text)
    except ValueError as error:
        raise VerifyError(f"the snapshot {path} is not JSON ({error}): take it again") from error
    return check_snapshot(snapshot, str(path))


SECTIONS = ("interpreter", "os", "libc", "libm", "machine", "cpu", "packages", "cv2_providers", "startup", "modules",
            "pins", "fingerprint", "bundle", "code", "locks")


def check_snapshot(snapshot: Any, source: str) -> dict:
    """The snapshot itself, if it is one of this format and complete; raises VerifyError naming its `source`."""
    if not isinstance(snapshot, dict) or snapshot.get("kind") != KIND:
        raise VerifyError(f"{source} is no snapshot of an environment, expected \"kind\": \"{KIND}\": "
                          "take one with `verify_env.py snapshot -o FILE`")
    if snapshot.get("format") != FORMAT:
        raise VerifyError(f"the snapshot {source} has format {snapshot.get('format')!r}, expected {FORMAT}: "
                          "take both snapshots with the same release")
    missing = [name for name in SECTIONS if name not in snapshot]
    if missing:
        raise VerifyError(f"the snapshot {source} lacks {', '.join(missing)}: take it again")
    return snapshot


def write_snapshot(snapshot: dict, output: Path | None) -> None:
    """Writes to a file, whole or not at all, or to stdout."""
    text = json.dumps(snapshot, indent=1, sort_keys=True) + "\n"
    if output is None:
        sys.stdout.write(text)
        return
    partial = output.with_name(output.name + ".partial")
    try:
        partial.write_text(text, encoding="ascii")
        partial.replace(output)
    except OSError as error:
        raise VerifyError(f"{output} cannot be written ({error.strerror}): name a file in a writable folder") from error
