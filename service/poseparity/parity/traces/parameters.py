"""Which parameters of a stage differ between two traces."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...bundle.bundle import form_of
from ...bundle.tables import DIRECT
from ...stages.base import BY_NAME
from ...trace.model import CODE, TracedStage


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
    tables = [_with_defaults(a.name, table, like=other) for table, other in (tables, tables[::-1])]
    return tuple(differences("", *map(_json_ready, tables)))


def _with_defaults(stage: str, table: dict, *, like: dict) -> dict:
    """With what the other side names and this one does not: a release without a parameter did as its default says.

    A stage that asks a pose engine of its own has that engine's table under "engine".
    """
    if isinstance(table.get("engine"), dict):
        table = {**table, "engine": _with_convolution(table["engine"])}
    table = _with_convolution(table)
    row = BY_NAME.get(stage)
    form = form_of(row.table, table) if row and row.table else None
    fields = form.model_fields.items() if form else ()
    absent = {name: field for name, field in fields if name in like and name not in table and not field.is_required()}
    return table | {name: field.default for name, field in absent.items()}


def _with_convolution(table: dict) -> dict:
    """A pose network's convolutions stand in a table within the table, and were no choice once."""
    network = table.get("network")
    return {**table, "network": {"convolution": DIRECT, **network}} if isinstance(network, dict) else table


def differences(path: str, a: Any, b: Any, *, into_lists: bool = False) -> Iterator[ParameterDifference]:
    """What differs between two values.

    Tables are looked into; a list is one value: its order and length matter as a whole.

    Args:
        path: of both, dotted.
        into_lists: look into lists of tables, too, where both have as many.
    """
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}):
            inner = f"{path}.{key}" if path else key
            yield from differences(inner, a.get(key), b.get(key), into_lists=into_lists)
    elif into_lists and _are_tables(a) and _are_tables(b) and len(a) == len(b):
        for number, pair in enumerate(zip(a, b, strict=True)):
            yield from differences(f"{path}[{number}]", *pair, into_lists=True)
    elif a != b:
        yield ParameterDifference(path, a, b)


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _json_ready(value: Any) -> Any:
    """TOML and Python know inf and nan; JSON does not, and nan would not be equal to itself."""
    if isinstance(value, dict):
        return {key: _json_ready(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json_ready(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
