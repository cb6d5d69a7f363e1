"""`--set SECTION.KEY=VALUE`: the one way to change a parameter of an imported bundle."""

from __future__ import annotations

import tomllib
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..bundle.bundle import PARAMETERS, first_problem, forms_of
from ..errors import ImportRefused
from ..stages.base import DETECT, NORMALISE, POSE, RECOGNISE

# They belong to the weights or to another program, and come from the same files as those.
_FROM_FILES = {
    *((DETECT.table, key) for key in ("architecture", "classes", "person_class")),
    *((POSE.table, key) for key in ("engine", "network", "architecture", "classes", "person_class")),
    *((POSE.table, key) for key in ("version", "executable_sha256", "model_sha256")),
    *((NORMALISE.table, key) for key in ("joints", "transforms")),
    (RECOGNISE.table, "model"),
}
# A key of a table within a table that comes from files.
_WITHIN = {POSE.table: ["network.convolution"]}


def parse(settings: list[str]) -> dict[str, dict[str, Any]]:
    """["crop.padding=0.10"] to {"crop": {"padding": 0.1}}. A value is TOML; a bare word is a string.

    A key within a key, "pose.network.convolution", is a table within a table: see `with_changes`.

    Raises:
        ImportRefused: no such parameter, or it is given twice.
    """
    tables: dict[str, dict[str, Any]] = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        section, _, key = name.strip().partition(".")
        known = settable(section)
        if not sign or key not in known:
            names = ", ".join(
                [f"{section}.{key}" for key in known] or [f"{each}." for each in PARAMETERS if settable(each)]
            )
            raise ImportRefused(f"--set {setting}: no such parameter, expected SECTION.KEY=VALUE", fix=f"use {names}")
        table, _, inner = f"{section}.{key}".rpartition(".")
        values = tables.setdefault(section, {})
        if table != section:
            values = values.setdefault(table.removeprefix(f"{section}."), {})
        if inner in values:
            raise ImportRefused(f"--set {section}.{key} is given twice", fix="give it once")
        try:
            values[inner] = tomllib.loads(f"value = {text.strip()}")["value"]
        except tomllib.TOMLDecodeError:  # a bare word
            values[inner] = text.strip()
    return tables


def settable(section: str) -> list[str]:
    """The keys of a section that may be set."""
    if section not in PARAMETERS:
        return []
    keys = dict.fromkeys(key for form in forms_of(section) for key in form.model_fields)
    return [key for key in keys if (section, key) not in _FROM_FILES] + _WITHIN.get(section, [])


def with_changes(table: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A table of bundle.toml with what `parse` returned for it; a table within it keeps its other keys."""
    inner = {key: {**table.get(key, {}), **value} for key, value in changes.items() if isinstance(value, dict)}
    return {**table, **changes, **inner}


def check(tables: dict[str, dict[str, Any]]) -> None:
    """Refuse a value that its parameter cannot have, before anything is written."""
    for section, kind in PARAMETERS.items():
        if section not in tables:  # a bundle without a detector
            continue
        try:
            TypeAdapter(kind).validate_python(tables[section])
        except ValidationError as error:
            raise ImportRefused(first_problem(error, section), fix=f"correct what is said of [{section}]") from error
