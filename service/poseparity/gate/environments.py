"""The environments in which an image ran the clips, against the local one under the one policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..environment.compare import compare_snapshots
from ..environment.files import VerifyError
from ..environment.policy import Policy, load_policy
from ..environment.report import cells, fold_operations
from ..environment.snapshot import check_snapshot, load_snapshot
from ..errors import InputError
from ..settings import ROOT
from .side import Side, json_object

T = TypeVar("T")

# Facts that follow from those of packages, pins, code and bundle, or tell less than another one.
_SYMPTOMS = ("modules.", "fingerprint", "imports.path", "imports.folders")


@dataclass(frozen=True)
class Fact:
    """A fact of the image's environment that the policy forbids, both sides in words."""

    name: str
    local: str
    server: str
    effect: str

    @property
    def is_symptom(self) -> bool:
        """Whether another fact is likely to tell more."""
        return self.name.startswith(_SYMPTOMS)


@dataclass(frozen=True)
class Measure:
    """What an image's environment is held against."""

    environment: dict
    policy: Policy

    def findings(self, environment: object, source: str) -> list[dict]:
        """Every difference from the local environment, gravest first.

        Raises:
            VerifyError: it is no snapshot; `source` is for the message.
        """
        try:
            return compare_snapshots(self.environment, check_snapshot(environment, source), self.policy)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise VerifyError(f"{source} is damaged ({error!s:.80})") from error


def load_measure(local: Side, policy: Path) -> Measure:
    """The local environment and the policy.

    Raises:
        InputError: one of the files is missing or is not what it should be.
    """
    return Measure(
        _usable(load_snapshot, local.environment, "take it again: scripts/verify_env.py snapshot --apply-pins -o FILE"),
        _usable(load_policy, policy, f"{ROOT / 'lockfiles/parity.toml'} shows what a policy looks like"),
    )


def _usable(load: Callable[[Path], T], path: Path, fix: str) -> T:
    try:
        return load(path)
    except VerifyError as error:
        raise InputError(str(error), code="no-measure", fix=fix) from error


def forbidden(server: Side, clips: Iterable[str], measure: Measure) -> tuple[Fact, ...]:
    """What the policy forbids in any of the environments in which the clips ran, each fact once.

    A clip without a trace ran in the environment that the image described by itself. One that left a trace and says
    nothing of its environment is as good as one that says something else.
    """
    found: dict[str, dict] = {}
    unusable = []
    described = json_object(server.environment)
    for clip in clips:
        trace = json_object(server.trace(clip))
        environment = (trace or {}).get("environment") or described
        if environment is None and trace is None and not server.environment.exists():
            continue  # it can neither run the clip nor describe itself, and is refused for the first
        try:
            findings = measure.findings(environment, f"the environment of {clip}")
        except VerifyError as error:
            unusable.append(Fact(f"the environment of {clip}", "a snapshot", "none that can be used", str(error)))
            continue
        for each in findings:
            if each["verdict"] == "error":
                found.setdefault(each["path"], each)
    rows = (cells(finding) for finding in fold_operations(list(found.values())))
    return *unusable, *(Fact(name, local, here, effect) for name, local, here, _, effect in rows)
