"""The skeleton CSV: one row a frame, x, y and confidence of 17 joints, pixels of the full frame.

Written so that reading it back gives the same bits: each number is the shortest text that parses to the same float64.
Read generously: what spreadsheets and pandas make of such a table is taken, and said, as long as it has one meaning.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .errors import InputError, InputTooLarge
from .keypoints import CSV_NAMES
from .records import Notice

HEADER = tuple(f"{joint}_{channel}" for joint in CSV_NAMES for channel in "xyc")
SEPARATORS = (",", "\t", ";")
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# MMAction2 stores joints as float16, whose largest value this is: a larger one would become infinite there.
_LARGEST = 65504.0
_FORMAT = "UTF-8 text, header " + ",".join(HEADER[:4]) + ",...," + HEADER[-1] + " (51 columns), one row a frame"
# What pandas takes for a missing number, in lower case.
_BLANK = frozenset((
    "", "nan", "-nan", "na", "n/a", "<na>", "#na", "#n/a", "#n/a n/a", "null", "none",
    "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
))  # fmt: skip
_MARKER = [-1.0, -1.0, -1.0]
_LISTED_COLUMNS = 12  # of those that are not used: there may be thousands
_UTF16_SAMPLE = 64  # bytes, 32 letters of UTF-16: the header is longer than that
_LONGEST_HEADER = 64 * 1024  # bytes; a right one has 428, and three separators are tried on it


@dataclass(frozen=True)
class SkeletonCsv:
    """What a skeleton CSV holds.

    Attributes:
        keypoints: float64 (frames, 17, 3).
        notices: what was left out, and what was taken for a missing joint.
    """

    keypoints: np.ndarray
    notices: tuple[Notice, ...]


def write(keypoints: np.ndarray) -> bytes:
    """Write a skeleton.

    Args:
        keypoints: float (frames, 17, 3), finite.

    Returns:
        UTF-8 text, lines ended by "\\n".
    """
    rows = np.asarray(keypoints, dtype=np.float64).reshape(len(keypoints), len(HEADER))
    lines = [",".join(HEADER)]
    for row in rows.tolist():
        # repr is the shortest text that reads back to the same float64; a missing joint stays the 0,0,0 it is known as.
        lines.append(",".join("0" if value == 0 and math.copysign(1, value) > 0 else repr(value) for value in row))
    return ("\n".join(lines) + "\n").encode()


def read(content: bytes, *, max_frames: int) -> np.ndarray:
    """The keypoints alone, see `read_with_notices`."""
    return read_with_notices(content, max_frames=max_frames).keypoints


def read_with_notices(content: bytes, *, max_frames: int) -> SkeletonCsv:
    """Read a skeleton CSV.

    Columns are found by their names, in any order, with spaces around them; others are left out. They are separated by
    commas, tabs or semicolons. A joint with a blank cell (or NaN, NA, null, ...) is missing, and so is one that is
    -1, -1, -1; where the cells of all confidences are blank, they are 0.

    Args:
        content: the file's bytes; a UTF-8 byte order mark is accepted.
        max_frames: more rows than this are refused.

    Raises:
        InputError: not such a CSV; the message names the line, the column and what was found.
        InputTooLarge: more than `max_frames` rows.
    """
    text = _text(content)
    if not text.strip():
        raise InputError("the skeleton CSV is empty", code="empty-file", fix=f"send {_FORMAT}")
    separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        # Rows that hold anything. One of blank cells does: it is a frame in which nobody was seen.
        rows = (row for row in reader if len(row) > 1 or "".join(row).strip())
        columns = _Columns(next(rows))
        values = [columns.values(row, reader.line_num) for row in _limited(rows, max_frames)]
    except csv.Error as error:
        raise _bad(f"line {reader.line_num} is not CSV: {error}") from error
    if len(values) < 2:
        raise _bad(f"the skeleton CSV has {len(values)} frame(s); an action needs at least 2", code="too-few-frames")
    keypoints = np.array(values, dtype=np.float64).reshape(len(values), len(CSV_NAMES), 3)
    missing = tuple(_clear_missing(keypoints))
    return SkeletonCsv(keypoints, (*columns.notices(), *missing))


def is_utf16(head: bytes) -> bool:
    """Whether bytes begin as UTF-16 text does: with its byte order mark, or with every other byte a NUL."""
    if head.startswith(UTF16_MARKS):
        return True
    sample = head[:_UTF16_SAMPLE]
    return any(
        # A header is ASCII, so one byte of each pair is a letter of it and the other one 0.
        len(letters) >= 4 and not any(others) and all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in letters)
        for letters, others in ((sample[0::2], sample[1::2]), (sample[1::2], sample[0::2]))
    )


def _text(content: bytes) -> str:
    if is_utf16(content[:_UTF16_SAMPLE]):
        fix = "save it as UTF-8; spreadsheet programs call that 'CSV UTF-8'"
        raise InputError("the file is UTF-16 text, expected UTF-8", code="bad-csv", fix=fix)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad(f"the file is not UTF-8 text (byte {error.start})") from error
    if "\0" in text:
        raise _bad("the file holds NUL bytes, so it is not text")
    return text.lstrip("\ufeff")  # programs that append to a file have been seen to write its mark twice


def _separator(text: str) -> str:
    """The separator that finds the most columns in the header."""
    header = text.lstrip()[:_LONGEST_HEADER].splitlines()[0]

    def columns_found(separator: str) -> int:
        return sum(name.strip(' "') in HEADER for name in header.split(separator))

    return max(SEPARATORS, key=columns_found)  # of equals the first: a comma


def _limited(rows: Iterator[list[str]], max_frames: int) -> Iterator[list[str]]:
    """The rows, refusing to go on past the limit: a huge file is never held."""
    for count, row in enumerate(rows, 1):
        if count > max_frames:
            raise InputTooLarge(
                f"the skeleton CSV has more than {max_frames} frames",
                code="too-many-frames",
                fix=f"send at most {max_frames} frames: cut the recording to the action",
            )
        yield row


class _Columns:
    """Where in a row the columns of HEADER are, and what becomes of the others.

    Raises:
        InputError: one of HEADER is missing or repeated.
    """

    def __init__(self, header: list[str]) -> None:
        names = [name.strip() for name in header]
        self._names = names
        missing = [name for name in HEADER if name not in names]
        if missing:
            unknown = [name for name in names if name not in HEADER]
            raise _bad(
                f"the header has {len(names)} columns; missing: {_some(missing)}; unknown: {_some(unknown)}",
                code="bad-csv-header",
            )
        repeated = sorted({name for name in HEADER if names.count(name) > 1})
        if repeated:
            raise _bad(f"the header repeats {_some(repeated)}", code="bad-csv-header")
        self._order = [names.index(name) for name in HEADER]  # for each of HEADER its position in the file
        named = [position for position, name in enumerate(names) if name]
        # A separator at the end of the header makes a column without a name, which rows need not have.
        self._fewest = named[-1] + 1
        self._nameless = [position for position, name in enumerate(names) if not name]
        self._nameless_used = False

    def values(self, row: list[str], line: int) -> list[float]:
        """The numbers of a row in the order of HEADER; NaN where a cell is blank."""
        if len(row) < self._fewest or any(cell.strip() for cell in row[len(self._names) :]):
            raise _bad(f"line {line} has {len(row)} values, expected {self._fewest}", line=line)
        self._nameless_used |= any(row[position].strip() for position in self._nameless if position < len(row))
        values = [_value(row[position], line, name) for name, position in zip(HEADER, self._order, strict=True)]
        for start in range(0, len(values), 3):
            confidence = values[start + 2]
            if confidence < 0 and values[start : start + 3] != _MARKER:
                raise _bad(f"line {line} has the negative confidence {confidence}", line=line)
        return values

    def notices(self) -> Iterator[Notice]:
        """Which columns are left out."""
        extra = [name for name in self._names if name and name not in HEADER]
        extra += ["(no name)"] if self._nameless_used else []
        if extra:
            yield Notice("extra-columns", f"columns that are not used: {_some(extra, _LISTED_COLUMNS)}")


def _value(cell: str, line: int, column: str) -> float:
    text = cell.strip()
    if text.lower() in _BLANK:
        return math.nan
    try:
        # Python reads "1_000" and the digits of other scripts as numbers; a CSV with them is damaged.
        value = float(text if text.isascii() and "_" not in text else "damaged")
    except ValueError:
        hint = "; decimals have a point" if text.replace(",", "", 1).lstrip("-").isdecimal() and "," in text else ""
        raise _bad(
            f"line {line}, column {column}: {text[:40]!r} is not a number{hint}", line=line, column=column
        ) from None
    if not abs(value) <= _LARGEST:
        limits = f"finite, at most {_LARGEST:.0f}"
        raise _bad(
            f"line {line}, column {column}: {text[:40]!r} is no pixel position or confidence ({limits})",
            line=line,
            column=column,
        )
    return value


def _clear_missing(keypoints: np.ndarray) -> Iterator[Notice]:
    """Make joints with a blank cell (NaN), and those that are -1, -1, -1, 0, 0, 0, in place."""
    blank = np.isnan(keypoints)
    if blank.any():
        cells, told = int(blank.sum()), ""
        if blank[..., 2].all():  # a table without confidences, and not one without joints
            keypoints[..., 2], blank[..., 2], told = 0, False, "every confidence is taken as 0, and "
        joints = blank.any(axis=-1)
        keypoints[joints] = 0
        taken = f"{int(joints.sum())} of {joints.size} joints are taken as missing"
        yield Notice("blank-cells", f"{cells} cells are blank or no number: {told}{taken}")
    marked = (keypoints == _MARKER).all(axis=-1)
    if marked.any():
        keypoints[marked] = 0
        message = f"{int(marked.sum())} of {marked.size} joints are -1,-1,-1 and taken as missing"
        yield Notice("missing-marker", message)


def _some(names: list[str], most: int = 4) -> str:
    listed = ", ".join(repr(name[:40]) for name in names[:most]) or "none"
    return f"{listed}, ..." if len(names) > most else listed


def _bad(message: str, code: str = "bad-csv", **place: int | str) -> InputError:
    return InputError(message, code=code, fix=f"send {_FORMAT}; a missing joint is 0,0,0", details=place)
