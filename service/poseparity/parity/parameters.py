"""Which parameters of a stage differ between two traces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..trace.model import CODE, TracedStage


@dataclass(frozen=True)
class ParameterDifference:
    """One parameter: its dotted path within the stage's parameters, and both values; None where a side has none."""

    path: str
    a: Any
    b: Any


def differing_parameters(a: TracedStage, b: TracedStage) -> tuple[ParameterDifference, ...]:
    """The parameters that are not equal, in the order of their names."""
    tables = [dict(stage.parameters) for stage in (a, b)]
    if not all("code" in table for table in tables):  # a golden trace says nothing of code
        tables = [{name: value for name, value in table.items() if name not in CODE} for table in tables]
    return tuple(_differences("", *tables))


def _differences(path: str, a: Any, b: Any) -> Iterator[ParameterDifference]:
    """Tables are looked into; a list is one value: its order and length matter as a whole."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}):
            yield from _differences(f"{path}.{key}" if path else key, a.get(key), b.get(key))
    elif a != b:
        yield ParameterDifference(path, a, b)
