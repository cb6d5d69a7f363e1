"""YAML, JSON and TOML from elsewhere as plain data: nothing in them is run, and nothing is larger than its file.

A few lines of YAML can stand for billions of values, by naming one value many times, and a few thousand brackets end
the interpreter's stack: both are refused before any value is made.
"""

from __future__ import annotations

import json
import reprlib
import tomllib
from pathlib import Path
from typing import Any

import yaml

from ..errors import BundleError

MAX_BYTES = 256 * 2**10  # the largest config of MMAction2 is 20 KiB, the demo bundle's bundle.toml 3
_MAX_VALUES = 50_000  # MMAction2's largest config has 217; MAX_BYTES of single digits would be 130,000
_MAX_DEPTH = 60  # far above what anybody writes, far below the 1,000 calls that Python's stack holds
_MAX_BITS = 64  # of TOML's own numbers
_MAX_DOTS = 200  # tomllib takes a key of n parts in n * n steps
_TUPLE = "tag:yaml.org,2002:python/tuple"  # what mmengine's Config.dump writes for a tuple
# Numbers of thousands of digits and dates that there are not are a ValueError, one object too deep a RecursionError.
_MALFORMED = (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError, yaml.YAMLError)


def read_yaml(path: Path, *, fix: str) -> Any:
    """The one document of a YAML file, of plain values only.

    Raises:
        BundleError: it is too large, no YAML, or asks for an object of a program.
    """
    text = _text(path, fix)
    try:
        node = yaml.compose(text, Loader=_Plain)
        _check_size(node)
        loader = _Plain(text)
        return _checked(None if node is None else loader.construct_document(node))
    except _MALFORMED as error:
        raise _malformed(path, "YAML", error, fix) from error


def read_json(path: Path, *, fix: str) -> Any:
    """A JSON file.

    Raises:
        BundleError: it is too large, or no JSON.
    """
    try:
        return _checked(json.loads(_text(path, fix)))
    except _MALFORMED as error:
        raise _malformed(path, "JSON", error, fix) from error


def read_toml(path: Path, *, fix: str) -> dict[str, Any]:
    """A TOML file.

    Raises:
        BundleError: it is too large, or no TOML.
    """
    text = _text(path, fix)
    if any(line.count(".") > _MAX_DOTS for line in text.splitlines()):
        raise BundleError(f"{path} has a line with more than {_MAX_DOTS} dots", fix=fix)
    try:
        return _checked(tomllib.loads(text))
    except _MALFORMED as error:
        raise _malformed(path, "TOML", error, fix) from error


def shown(value: Any) -> str:
    """A value as a message shows it, however large or deep it is."""
    return _SHORT.repr(value)[:80]


class _Short(reprlib.Repr):
    """Python refuses to print numbers of thousands of digits."""

    def repr_int(self, value: int, level: int) -> str:
        bits = value.bit_length()
        return super().repr_int(value, level) if bits <= _MAX_BITS else f"a number of {bits} bits"


_SHORT = _Short()


class _Plain(yaml.SafeLoader):
    """YAML's own types; a tuple of Python's is a list."""


_Plain.add_constructor(_TUPLE, yaml.SafeLoader.construct_yaml_seq)


def _text(path: Path, fix: str) -> str:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise BundleError(f"{path} has more than {MAX_BYTES} bytes", fix=fix)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BundleError(f"{path} is no text in UTF-8: {error}", fix=fix) from error


def _check_size(root: yaml.Node | None) -> None:
    """Count the values as if each that is named again were written again.

    Raises:
        ValueError: there are too many, they are nested too deep, or a value holds itself.
    """
    sizes: dict[yaml.Node, int | None] = {}

    def size(node: yaml.Node, depth: int) -> int:
        known = sizes.get(node, 0)
        if known is None or depth > _MAX_DEPTH:
            raise ValueError(f"values are nested more than {_MAX_DEPTH} deep")
        if not known:
            sizes[node] = None
            sizes[node] = known = 1 + sum(size(child, depth + 1) for child in _children(node))
        if known > _MAX_VALUES:
            raise ValueError(f"it stands for more than {_MAX_VALUES} values")
        return known

    if root is not None:
        size(root, 0)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _checked(value: Any) -> Any:
    """The value, if it is nested no deeper than anybody writes it, and its numbers are no longer than anybody prints.

    Raises:
        ValueError: it is not.
    """
    level = [value]
    for _ in range(_MAX_DEPTH):
        if any(isinstance(each, int) and each.bit_length() > _MAX_BITS for each in level):
            raise ValueError(f"it holds a number of more than {_MAX_BITS} bits")
        inside: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inside += (*each, *each.values())
            elif isinstance(each, list | tuple | set):
                inside += each
        level = inside
        if not level:
            return value
    raise ValueError(f"values are nested more than {_MAX_DEPTH} deep")


def _malformed(path: Path, kind: str, error: Exception, fix: str) -> BundleError:
    words = "values are nested without end" if isinstance(error, RecursionError) else " ".join(str(error).split())[:200]
    return BundleError(f"{path} is not {kind}: {words}", fix=fix)
