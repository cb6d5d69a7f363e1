"""The one shape of every comparison's result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

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


@dataclass(frozen=True)
class Comparison:
    """What comparing two files gave.

    Attributes:
        kind: what was compared.
        verdict: "identical"; "within-tolerance" or "diverged" (traces); "explained" or "not-explained" (CSVs).
        summary: the verdict in plain words, one line.
        sides: for each of the two files its name and what is known of it, JSON-ready.
        causes: what explains the difference, the most certain first.
        figures: what is left unexplained, or how large the difference is, JSON-ready.
        notes: what else the reader should know, a line each.
        first: of two traces that differ, {"stage", "value", "frame"}: what differs first; None otherwise.
        stages: of two traces, each stage as StageComparison.to_dict() says it, in the pipeline's order.
        warnings: of two traces, differences that had no effect on this input, the gravest first.
        environment: of two traces, what verify_env.py finds between their environments, gravest first.
    """

    kind: Literal["csv", "trace"]
    verdict: Verdict
    summary: str
    sides: tuple[dict, dict]
    causes: tuple[Cause, ...] = ()
    figures: dict = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    first: dict | None = None
    stages: tuple[dict, ...] = ()
    warnings: tuple[Cause, ...] = ()
    environment: tuple[dict, ...] = ()

    @property
    def exit_status(self) -> int:
        """Of the command: 0 identical, 1 different."""
        return 0 if self.verdict == "identical" else 1

    def to_dict(self) -> dict:
        """JSON-ready: every attribute under its own name."""
        return {
            "kind": self.kind,
            "verdict": self.verdict,
            "summary": self.summary,
            "sides": list(self.sides),
            "causes": [cause.to_dict() for cause in self.causes],
            "figures": self.figures,
            "notes": list(self.notes),
            "first": self.first,
            "stages": list(self.stages),
            "warnings": [warning.to_dict() for warning in self.warnings],
            "environment": list(self.environment),
        }
