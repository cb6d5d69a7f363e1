"""What all comparisons have: causes, a verdict, and one form as JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

Verdict = Literal["identical", "within-tolerance", "diverged", "explained", "not-explained"]
PROVEN = 1.0  # the score of a cause after which nothing is left but rounding


@dataclass(frozen=True)
class Cause:
    """One thing that explains a difference, or part of it.

    Attributes:
        code: stable identifier in kebab-case.
        title: what it is, one line in plain words.
        evidence: JSON-ready figures, in the order in which a reader wants them; the keys are words.
        confirm: what the user can look at to be sure, one line.
        score: share of the difference that goes away with it, 0 to 1; PROVEN where all but rounding does. Of two
            traces, where no such share can be measured: how sure it is.
        stage: where it acts, of two traces; None for the whole.
    """

    code: str
    title: str
    evidence: dict
    confirm: str
    score: float
    stage: str | None = None

    def to_dict(self) -> dict:
        """{"code", "title", "evidence", "confirm", "score", "stage"}."""
        return {
            "code": self.code,
            "title": self.title,
            "evidence": self.evidence,
            "confirm": self.confirm,
            "score": round(self.score, 4),
            "stage": self.stage,
        }


@dataclass(frozen=True, kw_only=True)
class Comparison(ABC):
    """What comparing two files gave; of two skeleton CSVs or of two traces, as `kind` says.

    Attributes:
        verdict: "identical"; "within-tolerance" or "diverged" (traces); "explained" or "not-explained" (CSVs).
        summary: the verdict in plain words, one line.
        causes: what explains the difference, the most certain first.
        notes: what else the reader should know, a line each.
    """

    kind: ClassVar[Literal["csv", "trace"]]
    verdict: Verdict
    summary: str
    causes: tuple[Cause, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """Of the command: 0 identical, 1 different."""
        return 0 if self.verdict == "identical" else 1

    @abstractmethod
    def own(self) -> dict:
        """What this kind has beside the common fields, JSON-ready, by its key in `to_dict`."""

    def to_dict(self) -> dict:
        """JSON-ready. Both kinds have all keys, so that a program reads them alike; what a kind has not is empty."""
        return {
            "kind": self.kind,
            "verdict": self.verdict,
            "summary": self.summary,
            "sides": [],
            "causes": [cause.to_dict() for cause in self.causes],
            "figures": {},
            "notes": list(self.notes),
            "first": None,
            "stages": [],
            "warnings": [],
            "environment": [],
        } | self.own()
