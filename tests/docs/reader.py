"""A reader who types what the pages say, at a service of his own and with files of his own."""

from __future__ import annotations

import contextlib
import io
import shlex
import subprocess
import sys
from pathlib import Path

from poseparity.cli import main as cli
from tests.conftest import ROOT

_PROGRAMS = Path(sys.executable).parent
_TYPED = ".venv/runtime/bin"  # on the pages
_POSEPARITY = f"{_PROGRAMS}/poseparity "
_SERVICE = "http://127.0.0.1:19031"
_SHELL = frozenset("|<>;&$`*")


class Reader:
    """Runs commands of the pages.

    `poseparity` runs in this process, on models that are loaded already; tests/integration/test_cli.py runs it as a
    process of its own. Everything else runs in a shell. A command that stands on several pages runs once.

    Args:
        folder: takes the place of /tmp.
        service: URL of the service, in place of the one on the pages.
    """

    def __init__(self, folder: Path, service: str) -> None:
        self._folder = folder
        self._service = service
        self._done: dict[str, tuple[int, str]] = {}
        self.home = folder / "checkout"
        self.home.mkdir()
        for name in ("service", "scripts", "lockfiles"):
            (self.home / name).symlink_to(ROOT / name)

    def run(self, command: str) -> tuple[int, str]:
        """Exit status, and what was printed, in the words of the page."""
        if command not in self._done:
            self._done[command] = self._run(command)
        return self._done[command]

    def _run(self, command: str) -> tuple[int, str]:
        own = command.replace("/tmp/", f"{self._folder}/").replace(_SERVICE, self._service)
        own = own.replace(_TYPED, str(_PROGRAMS))
        simple = own.startswith(_POSEPARITY) and not _SHELL & set(own)
        status, printed = self._here(own) if simple else self._in_a_shell(own)
        return status, printed.replace(f"{self._folder}/", "/tmp/")

    def _here(self, command: str) -> tuple[int, str]:
        printed = io.StringIO()
        with contextlib.chdir(self.home), contextlib.redirect_stdout(printed):
            status = cli.main(shlex.split(command.replace("\\\n", " "))[1:])
        return status, printed.getvalue()

    def _in_a_shell(self, command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.home, stdout=subprocess.PIPE, text=True, timeout=300, check=False
        )
        return done.returncode, done.stdout
