"""Ansible filters: whose a lock is, and whether its ansible-playbook still runs."""

import os
import socket
from pathlib import Path


def as_lock_owner(_):
    """Say who we are: this machine's name, and the number and start of the ansible-playbook that this is a part of."""
    process = _playbook(os.getpid())
    return f"{socket.gethostname()} {process} {_started(process)}"


def is_lock_held(owner):
    """Whether the owner may still be at work. What runs on another machine cannot be seen from here: it may."""
    host, process, started = owner.split()
    return host != socket.gethostname() or _started(int(process)) == started


def shown_lock_owner(owner):
    """The owner in words."""
    host, process, _ = owner.split()
    return f"ansible-playbook, process {process} on {host}"


def _playbook(process):
    """The first ancestor whose parent is no ansible-playbook: workers are forked from it."""
    parent = int(_fields(process)[1])
    return _playbook(parent) if b"ansible-playbook" in _command(parent) else process


def _command(process):
    path = Path(f"/proc/{process}/cmdline")
    return path.read_bytes() if path.exists() else b""


def _started(process):
    """When it started, in the kernel's ticks; `none` where there is no such process."""
    try:
        return _fields(process)[19]
    except OSError:
        return "none"


def _fields(process):
    """The fields of /proc/PID/stat from the state on; the name before them may hold anything."""
    return Path(f"/proc/{process}/stat").read_text("ascii", "replace").rpartition(")")[2].split()


class FilterModule:
    """Ansible's way to find the filters."""

    def filters(self):
        return {"as_lock_owner": as_lock_owner, "is_lock_held": is_lock_held, "shown_lock_owner": shown_lock_owner}
