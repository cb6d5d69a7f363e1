"""The child process that imports the libraries: one that crashes ends the child, and the snapshot goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

from .bytecode import describe_bytecode
from .files import script_file
from .fingerprint import take_fingerprint
from .modules import MODULES, describe_module, failed_module
from .pins import failed_pin, probe_pins
from .shared_libraries import loaded_libraries

CHILD_COMMAND = "probe-in-child"
CHILD_SECONDS = 300


def child_main() -> int:
    """The child's side of probe_in_child(): a JSON request on stdin, one JSON answer a line on stdout.

    Nothing is caught here: a module whose import raises or crashes ends the child, and the parent goes on without it.
    """
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != script_file().parent]
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    request, environ = json.load(sys.stdin), dict(os.environ)
    for name in request["modules"]:
        print(json.dumps({name: describe_module(name)}), file=answers, flush=True)
    print(json.dumps({"libraries": loaded_libraries()}), file=answers, flush=True)
    if "root" in request:
        warnings.simplefilter("ignore")  # of sources that are compiled
        bytecode = describe_bytecode(Path(request["root"]), [*request["loaded"], *loaded_sources()])
        print(json.dumps({"bytecode": bytecode}), file=answers, flush=True)
    print(json.dumps({"pins": probe_pins(request["pins"], environ, request["without"])}), file=answers, flush=True)
    print(json.dumps({"fingerprint": take_fingerprint(request["without"])}), file=answers, flush=True)
    return 0


def loaded_sources() -> list[str]:
    """The source files of the modules that this process has imported."""
    specs = (getattr(module, "__spec__", None) for module in list(sys.modules.values()))
    return sorted({spec.origin for spec in specs if spec and spec.cached and str(spec.origin).endswith(".py")})


def run_child(request: dict, environ: dict[str, str]) -> tuple[list[dict], str | None]:
    """The child's answers, and why it ended before it had given all (None: it gave all)."""
    command = [sys.executable, str(script_file()), CHILD_COMMAND]
    try:
        child = subprocess.run(command, input=json.dumps(request), env=environ, capture_output=True, encoding="utf-8",
                               errors="replace", timeout=CHILD_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        return parse_answers(error.stdout or ""), f"no answer within {CHILD_SECONDS} s"
    answers = parse_answers(child.stdout)
    if child.returncode == 0:
        return answers, None
    last = ([line for line in child.stderr.splitlines() if line.strip()] or ["no message"])[-1].strip()
    return answers, f"ended by signal {-child.returncode}" if child.returncode < 0 else last


def parse_answers(stdout: str | bytes) -> list[dict]:
    """The child's lines; a sitecustomize or a .pth file may have printed others before it moved stdout away.

    Of a child that was stopped, subprocess gives bytes whatever the encoding asked for, and maybe half a line.
    """
    text = stdout.decode("utf-8", "replace") if isinstance(stdout, bytes) else stdout
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]


class Probed(NamedTuple):
    """What child processes found out: facts by module, by pin, take_fingerprint()'s, and what they loaded."""

    modules: dict
    pins: list
    fingerprint: dict
    libraries: list
    bytecode: dict


def probe_in_child(pins: dict[str, str], environ: dict[str, str], root: Path) -> Probed:
    """Imports MODULES, probes the pins, looks at the byte code and takes the fingerprint.

    A module that fails costs only itself.
    """
    modules: dict[str, dict] = {}
    while True:
        waiting = [name for name in MODULES if name not in modules]
        failed = [name for name, facts in modules.items() if not facts["imported"]]
        request = {"modules": waiting, "pins": pins, "without": failed, "root": str(root), "loaded": loaded_sources()}
        answers, failure = run_child(request, environ)
        found = {name: facts for answer in answers for name, facts in answer.items()}
        modules.update({name: facts for name, facts in found.items() if name in MODULES})
        broken = next((name for name in waiting if name not in modules), None)
        if broken is None:
            failed_pins = [failed_pin(name, pins[name], environ.get(name), failure) for name in pins]
            ended = {"skipped": f"the process that takes it failed: {failure}"}
            unknown = {"all of it": f"not looked at: {failure}"}
            return Probed(modules, found.get("pins", failed_pins), found.get("fingerprint", ended),
                          found.get("libraries", []), found.get("bytecode", unknown))
        modules[broken] = failed_module(failure)
