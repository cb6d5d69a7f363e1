"""Running the playbooks from tests, as a user would: the controller's ansible-playbook, in ansible/."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from poseparity.environment.variables import describe_variables

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = ROOT / "ansible"
CONTROLLER = ROOT / ".venv/controller"

# The tests' deployment lives beside a user's, and beside that of the tests of another checkout: names and ports of its
# own, always the same for one checkout, so that what an interrupted run left behind is found again.
_CHECKOUT = hashlib.sha256(str(ROOT).encode()).hexdigest()
CONTAINER = f"poseparity-e2e-{_CHECKOUT[:6]}"
PORT = 20000 + 2 * (int(_CHECKOUT, 16) % 5000)
URL = f"http://127.0.0.1:{PORT}"
OWN = ("-e", f"poseparity_container_name={CONTAINER}", "-e", f"poseparity_port={PORT}", "-e", "poseparity_lanes=1")

_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What one run of a command printed and did."""

    status: int
    output: str

    @property
    def changed(self) -> int:
        """How many tasks changed something, on all hosts together."""
        recaps = _RECAP.findall(self.output)
        assert recaps, f"no recap in:\n{self.output}"
        return sum(int(recap[2]) for recap in recaps)

    @property
    def message(self) -> str:
        """The message of the task that failed, on one line."""
        failures = re.findall(r"^fatal: .*?(?=^PLAY RECAP|^TASK)", self.output, re.MULTILINE | re.DOTALL)
        assert failures, f"nothing failed in:\n{self.output}"
        return " ".join(failures[-1].split())


def environment() -> dict[str, str]:
    """This process's environment with what Ansible needs: a UTF-8 locale, and our configuration from any folder.

    Left out is what libraries read: ultralytics sets some of it in the process of the tests, and no image has it.
    """
    read_by_libraries = describe_variables(dict(os.environ), ())
    return {
        **{name: value for name, value in os.environ.items() if name not in read_by_libraries},
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        # ansible-lint lives in .venv/dev, the collections in .venv/controller.
        "ANSIBLE_COLLECTIONS_PATH": str(next(CONTROLLER.glob("lib/python3.*/site-packages"), CONTROLLER)),
    }


def run(command: list[str | Path], folder: Path = ROOT, timeout: float = 1200) -> Run:
    """Run a command; its standard error is part of the output."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    return Run(done.returncode, done.stdout)


def playbook(name: str, *options: str) -> Run:
    """Run ansible/NAME.yml."""
    return run([CONTROLLER / "bin/ansible-playbook", f"{name}.yml", *options], folder=ANSIBLE)
