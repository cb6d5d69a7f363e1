"""The skeleton CSV: one row a frame, x, y and confidence of 17 joints, pixels of the full frame.

Written so that reading it back gives the same bits: each number is the shortest text that parses to the same float64.
"""

from __future__ import annotations

import csv
import io
import math

import numpy as np

from .errors import InputError, InputTooLarge
from .keypoints import CSV_NAMES

HEADER = tuple(f"{joint}_{channel}" for joint in CSV_NAMES for channel in "xyc")
# MMAction2 stores joints as float16, whose largest value this is: a larger one would become infinite there.
_LARGEST = 65504.0
_FORMAT = "UTF-8 text, header " + ",".join(HEADER[:4]) + ",...," + HEADER[-1] + " (51 columns), one row a frame"


def write(keypoints: np.ndarray) -> bytes:
    """Write a skeleton.

    Args:
        keypoints: float (frames, 17, 3), finite.

    Returns:
        UTF-8 text, lines ended by "\\n".
    """
    rows = np.asarray(keypoints, dtype=np.float64).reshape(len(keypoints), len(HEADER))
    lines = [",".join(HEADER), *(",".join(_number(value) for value in row) for row in rows.tolist())]
    return ("\n".join(lines) + "\n").encode()


def read(content: bytes, *, max_frames: int) -> np.ndarray:
    """Read a skeleton CSV.

    Args:
        content: the file's bytes; a UTF-8 byte order mark is accepted, columns may stand in any order.
        max_frames: more rows than this are refused.

    Returns:
        float64 (frames, 17, 3).

    Raises:
        InputError: not such a CSV; the message names the line, the column and what was found.
        InputTooLarge: more than `max_frames` rows.
    """
    text = _text(content)
    if not text.strip():
        raise InputError("the skeleton CSV is empty", code="empty-file", fix=f"send {_FORMAT}")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = _column_order(next(reader))
        rows = [_row(line, reader.line_num, columns) for line in _limited(reader, max_frames)]
    except csv.Error as error:
        raise _bad(f"line {reader.line_num} is not CSV: {error}") from error
    if len(rows) < 2:
        raise _bad(f"the skeleton CSV has {len(rows)} frame(s); an action needs at least 2", code="too-few-frames")
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(CSV_NAMES), 3)


def _number(value: float) -> str:
    # repr is the shortest text that reads back to the same float64; "0" keeps a missing joint the 0,0,0 it is known as.
    return "0" if value == 0 and math.copysign(1, value) > 0 else repr(value)


def _text(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad(f"the file is not UTF-8 text (byte {error.start})") from error
    if "\0" in text:
        raise _bad("the file holds NUL bytes, so it is not text")
    return text


def _column_order(header: list[str]) -> list[int]:
    """For each of HEADER, in order, its position in the file."""
    found = [name.strip() for name in header]
    missing = [name for name in HEADER if name not in found]
    unknown = [name for name in found if name not in HEADER]
    if missing or unknown:
        raise _bad(
            f"the header has {len(found)} columns; missing: {_some(missing)}; unknown: {_some(unknown)}",
            code="bad-csv-header",
        )
    if len(found) != len(HEADER):
        repeated = sorted({name for name in found if found.count(name) > 1})
        raise _bad(f"the header repeats {_some(repeated)}", code="bad-csv-header")
    return [found.index(name) for name in HEADER]


def _limited(reader, max_frames: int):
    """The rows that hold anything, refusing to go on past the limit: a huge file is never held."""
    count = 0
    for row in reader:
        if not row:
            continue
        count += 1
        if count > max_frames:
            raise InputTooLarge(
                f"the skeleton CSV has more than {max_frames} frames",
                code="too-many-frames",
                fix=f"send at most {max_frames} frames: cut the recording to the action",
            )
        yield row


def _row(row: list[str], line: int, columns: list[int]) -> list[float]:
    if len(row) != len(HEADER):
        raise _bad(f"line {line} has {len(row)} values, expected {len(HEADER)}")
    values = [_value(row[position], line, name) for name, position in zip(HEADER, columns, strict=True)]
    confidence = min(values[2::3])
    if confidence < 0:
        raise _bad(f"line {line} has the negative confidence {confidence}")
    return values


def _value(text: str, line: int, column: str) -> float:
    try:
        # Python reads "1_000" as a number; a CSV with it is damaged.
        value = float(text) if "_" not in text else float("nan")
    except ValueError:
        raise _bad(f"line {line}, column {column}: {text[:40]!r} is not a number") from None
    if not abs(value) <= _LARGEST:
        limits = f"finite, at most {_LARGEST:.0f}"
        raise _bad(f"line {line}, column {column}: {text[:40]!r} is no pixel position or confidence ({limits})")
    return value


def _some(names: list[str]) -> str:
    listed = ", ".join(repr(name[:40]) for name in names[:4]) or "none"
    return f"{listed}, ..." if len(names) > 4 else listed


def _bad(message: str, code: str = "bad-csv") -> InputError:
    return InputError(message, code=code, fix=f"send {_FORMAT}; a missing joint is 0,0,0")
