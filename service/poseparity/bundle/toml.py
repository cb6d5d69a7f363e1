"""Writing bundle.toml: the one place that turns tables into TOML, for imports and for training."""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dump(table: dict[str, Any]) -> str:
    """TOML text of str, bool, int, float, lists and dicts of them; reading it back gives an equal table.

    Raises:
        TypeError: a value of another type.
    """
    return "\n".join(_lines(table, ())).strip("\n") + "\n"


def weights_entry(path: Path, *, source: str, licence: str) -> dict[str, Any]:
    """The `[weights.NAME]` table of a file: name, checksum, size, where it comes from."""
    content = path.read_bytes()
    return {
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "source": source,
        "licence": licence,
    }


def write_weights(path: Path, state: dict[str, torch.Tensor]) -> None:
    """Write tensors as safetensors; half precision becomes float32, which holds every such value exactly."""
    halves = (torch.float16, torch.bfloat16)
    plain = {name: value.float() if value.dtype in halves else value for name, value in state.items()}
    # safetensors takes no tensors that share memory, or have gaps in it.
    path.write_bytes(save({name: value.contiguous().clone() for name, value in plain.items()}))


def _lines(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    """Plain values first: after a sub-table's header they would belong to that one."""
    lines = [f"{_key(name)} = {_value(value)}" for name, value in table.items() if not _is_table(value)]
    for name, value in table.items():
        header = ".".join(map(_key, (*path, name)))
        if isinstance(value, dict):
            body = _lines(value, (*path, name))
            # The header of a table that holds nothing but tables would say nothing.
            has_own = not value or any(not _is_table(child) for child in value.values())
            lines += ["", f"[{header}]", *body] if has_own else body
        elif _is_table(value):
            for entry in value:
                lines += ["", f"[[{header}]]", *_lines(entry, (*path, name))]
    return lines


def _is_table(value: Any) -> bool:
    """A dict, or a list of nothing but dicts."""
    return isinstance(value, dict) or (
        isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(entry, dict) for entry in value)
    )


def _value(value: Any) -> str:
    if isinstance(value, bool):  # first, because it is an int as well
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(name)} = {_value(child)}" for name, child in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    raise TypeError(f"{value!r} is a {type(value).__name__}, which TOML does not have")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    """JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
