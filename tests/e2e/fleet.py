"""Servers of which each is given another image, for one run of a playbook over all of them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from bench.faults.fault import Fault
from tests.e2e.playbooks import Run


@dataclass(frozen=True)
class Server:
    """A host of the inventory.

    Attributes:
        host: its name there.
        image: name and id of what it is given.
    """

    host: str
    image: dict[str, str]


def host_name(fault: Fault) -> str:
    """A host's name, or an image's, made of a fault's."""
    return re.sub("[^a-z0-9]+", "-", fault.name.lower()).strip("-")


def inventory(servers: list[Server]) -> str:
    """JSON, which is YAML: this machine under as many names as there are servers."""
    here = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    hosts = {each.host: {**here, "__poseparity_image": each.image} for each in servers}
    return json.dumps({"poseparity_servers": {"hosts": hosts}})


def messages(result: Run) -> dict[str, list[str]]:
    """The lines with which the play stopped, host by host."""
    stopped = re.findall(
        r"^fatal: \[(\S+?)\]: FAILED! => \n    changed: false\n    msg: \|-\n((?: {8}.*\n)+)", result.output, re.M
    )
    assert stopped, result.output
    return {host: [line.strip() for line in text.splitlines()] for host, text in stopped}


def report_of(message: list[str]) -> dict:
    """The report that a message names, or that lies beside the page that it names."""
    named = Path(next(line for line in message if line.startswith("Report: ")).removeprefix("Report: "))
    assert named.exists()
    return json.loads((named.parent / "report.json").read_text("utf-8"))
