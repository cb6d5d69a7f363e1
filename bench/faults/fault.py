"""A fault: what is broken on the server's side, and what a comparison with the local trace has to say of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from poseparity.environment.machine import describe_cpu


@dataclass(frozen=True)
class Fault:
    """One thing that is otherwise on the server's side.

    Attributes:
        name: as the table of results shows it.
        stage: the first stage that differs then; None where every stage makes the same bits of the suite's clip, and
            only the fault itself can be named.
        cause: code of the cause that must rank first.
        says: what the words of that cause must hold: the value, the side, the file.
        from_arrays: whether the cause is told by the arrays (`--trace-arrays`); otherwise it is named without them.
    """

    name: str
    stage: str | None
    cause: str
    says: tuple[str, ...] = ()
    from_arrays: bool = False


@dataclass(frozen=True)
class BundleFault(Fault):
    """The server has another bundle.

    Attributes:
        change: is given a whole copy of the local bundle, a folder, and changes it there.
    """

    change: Callable[[Path], None] = field(kw_only=True)


@dataclass(frozen=True)
class CodeFault(Fault):
    """The server computes otherwise, and nothing that it says of itself tells so.

    Attributes:
        patch: while its context lasts, a function or class of this process is another one; pipelines are built in it.
        both: a change of the bundle that both sides have, as in BundleFault.
    """

    patch: Callable[[], AbstractContextManager[object]] = field(kw_only=True)
    both: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class ProcessFault(Fault):
    """The server is a process with another environment, or with other code.

    Attributes:
        variables: environment variables on top of the pins; None: unset.
        packages: of lockfiles/faults.lock, laid over the installed ones; see packages.py.
        needs: a feature of the processor without which the fault cannot exist, as verify_env.py names it.
        edit: (file of service/poseparity, text, text in its place): the server runs a copy of the package with that.
    """

    variables: dict[str, str | None] = field(default_factory=dict, kw_only=True)
    packages: tuple[str, ...] = ()
    needs: str | None = None
    edit: tuple[str, str, str] | None = None


def can_exist(fault: Fault) -> bool:
    """Whether this processor has what the fault switches on."""
    needs = fault.needs if isinstance(fault, ProcessFault) else None
    return needs is None or bool(describe_cpu()["features"].get(needs))
