"""What several commands say, each in the same words."""

from __future__ import annotations

from ..errors import PoseParityError

UNPINNED = (
    "poseparity: WARNING: --unpinned: the numerical pins are not set and not checked. Scores may differ from those of "
    "every other machine, and from this one's tomorrow. Use them to compare, and for nothing else."
)


def failure(error: PoseParityError | OSError) -> str:
    """What went wrong and how to fix it, a line each."""
    fix = error.fix if isinstance(error, PoseParityError) else "check that path and its permissions"
    return f"poseparity: {error}\n  fix: {fix}"
