"""TOML for Python < 3.11: comments, [[tables]], and keys with strings, integers, booleans or arrays of those."""

from __future__ import annotations

import json
import re
from typing import Any

TOML_HEADER = re.compile(r"\[\[([A-Za-z0-9_-]+)\]\]\s*(?:#.*)?")
TOML_PAIR = re.compile(r"([A-Za-z0-9_-]+)\s*=\s*(.*)", re.DOTALL)
TOML_STRING = r'"(?:[^"\\\x00-\x1f]|\\["\\nt]|\\u[0-9A-Fa-f]{4})*"'
TOML_TOKEN = re.compile(r"[ \t\r\n]*(?:(?P<comment>#[^\n]*)|(?P<mark>[\[\],])|(?P<literal>'[^'\n]*')"
                        rf"|(?P<string>{TOML_STRING})|(?P<word>(?:true|false|-?(?:0|[1-9]\d*))(?=[ \t\r\n,\]#]|$)))")


def read_simple_toml(text: str) -> dict:
    """The part of TOML that parity.toml uses; raises ValueError, with the line, on all else."""
    document: dict = {}
    table, lines, number = document, text.split("\n"), 0  # splitlines() knows more ends of line than TOML
    while number < len(lines):
        line, number = lines[number].strip(), number + 1
        if not line or line.startswith("#"):
            continue
        header, pair = TOML_HEADER.fullmatch(line), TOML_PAIR.fullmatch(line)
        if header:
            table = {}
            document.setdefault(header.group(1), []).append(table)
            continue
        if not pair or pair.group(1) in table:
            raise ValueError(f"line {number}: found {line!r}, expected a new `key = value` or [[table]]")
        key, value = pair.groups()
        while not is_complete(value) and number < len(lines):
            value, number = value + "\n" + lines[number], number + 1
        table[key] = parse_toml_value(value, number)
    return document


def toml_tokens(text: str) -> list[tuple[str, str]]:
    """(kind, text) of each token, comments left out; what cannot be read is one token of kind "wrong"."""
    tokens, position, text = [], 0, text.rstrip(" \t\r\n")
    while position < len(text):
        found = TOML_TOKEN.match(text, position)
        if not found:
            return [*tokens, ("wrong", text[position:].strip())]
        tokens.append((found.lastgroup, found.group(found.lastgroup)))
        position = found.end()
    return [token for token in tokens if token[0] != "comment"]


def is_complete(text: str) -> bool:
    """Whether a value ends here: all its brackets are closed."""
    marks = [token for kind, token in toml_tokens(text) if kind == "mark"]
    return marks.count("[") == marks.count("]")


def parse_toml_value(text: str, number: int) -> Any:
    """A scalar or an array of scalars; raises ValueError naming the line."""
    tokens = toml_tokens(text)
    kinds = "".join({"mark": token, "wrong": "?"}.get(kind, "v") for kind, token in tokens)
    values = [toml_scalar(kind, token) for kind, token in tokens if kind not in ("mark", "wrong")]
    if kinds == "v":
        return values[0]
    if re.fullmatch(r"\[(v(,v)*,?)?\]", kinds):
        return values
    raise ValueError(f"line {number}: found {text.strip()!r}, expected a string, integer, boolean or array of those")


def toml_scalar(kind: str, token: str) -> Any:
    """The value of a token; the escapes allowed in strings are those that JSON has too."""
    return token[1:-1] if kind == "literal" else json.loads(token)
