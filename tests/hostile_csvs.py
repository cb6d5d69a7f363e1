"""Skeleton CSVs from elsewhere: what programs and people make of them, and what nobody should."""

from __future__ import annotations

import random
from collections.abc import Iterator

from poseparity.skeleton_csv import HEADER

ODD_CELLS = [
    *["", " ", "nan", "-nan", "inf", "-inf", "1e400", "-1e400", "1e-400", "0x10", "1_000", "+5", "--5", "1,5", "1 5"],
    *["null", "None", "#N/A", "true", "=1+1", "@cmd", "\u0661\u0662", "\uff11\uff12", "\u00b2", "9" * 400],
    *[".", "-1", "65505", "1e5", "-65504", '"1"', '"1', "1\x00", "\ud55c", "\u202e1", "1;2"],
    *["1\t2", "'1'", "1.5.5", "-0.0", "5e-324"],
]  # fmt: skip


def table(chance: random.Random, rows: int = 24) -> list[list[str]]:
    """A person who moves a little."""
    places = [(chance.uniform(80, 400), chance.uniform(60, 300)) for _ in range(17)]
    return [
        [f"{value:.2f}" for x, y in places for value in (x + chance.gauss(0, 4), y + chance.gauss(0, 4), 0.9)]
        for _ in range(rows)
    ]


def text(rows: list[list[str]], header: tuple[str, ...] = HEADER, separator: str = ",", end: str = "\n") -> bytes:
    return end.join(separator.join(row) for row in [list(header), *rows, []]).encode(errors="surrogatepass")


def hostile() -> Iterator[tuple[str, bytes]]:
    """Name and content of each file: at least 400."""
    chance = random.Random(7)
    for number, cell in enumerate(ODD_CELLS):
        for rows, column in ((24, 0), (3, 2)):
            made = table(chance, rows)
            made[chance.randrange(rows)][column + 3 * chance.randrange(17)] = cell
            yield f"cell-{number}-{column}", text(made)
    for number in range(150):
        content = bytearray(text(table(chance)))
        for _ in range(chance.choice((1, 5, 50, 500))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        yield f"bytes-{number}", bytes(content)
    for number in range(60):
        content = text(table(chance))
        yield f"cut-{number}", content[: chance.randrange(len(content))]
    for number in range(60):
        made, header = table(chance), list(HEADER)
        change = number % 6
        if change == 0:
            header.pop(chance.randrange(51))
        elif change == 1:
            header[chance.randrange(51)] = header[chance.randrange(51)]
        elif change == 2:
            made[chance.randrange(24)].extend(["1"] * chance.randrange(1, 2000))
        elif change == 3:
            made[chance.randrange(24)] = []
        elif change == 4:
            chance.shuffle(header)
        else:
            header = [name.lower() for name in header]
        yield f"shape-{number}", text(made, tuple(header))
    for number, (separator, end) in enumerate(
        (s, e) for s in ",;\t|: " for e in ("\n", "\r\n", "\r", "\x0b", "\u2028")
    ):
        yield f"separator-{number}", text(table(chance), separator=separator, end=end)
    for number, coding in enumerate(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp037", "utf-7")):
        yield f"coding-{number}", text(table(chance)).decode().encode(coding)
    for number, scale in enumerate((0, 1e-9, 1e-3, 1, 10, 150, -1, 1e-300)):
        made = [[f"{float(cell) * scale!r}" for cell in row] for row in table(chance)]
        yield f"scale-{number}", text(made)
    yield from _large(chance).items()


def _large(chance: random.Random) -> dict[str, bytes]:
    header = ",".join(HEADER).encode() + b"\n"
    return {
        "no-rows": header,
        "one-row": text(table(chance, 1)),
        "many-rows": text(table(chance, 1) * 9001),
        "rows-of-commas": header + (b"," * 50 + b"\n") * 5000,
        "long-cell": header + b"1" * 5_000_000,
        "long-quoted-cell": header + b'"' + b"1" * 5_000_000,
        "long-header": b"Nose_x," + b"x" * 5_000_000,
        "many-columns": b",".join([*(name.encode() for name in HEADER), *[b"x"] * 200_000]) + b"\n1\n",
        "empty-lines": header + b"\n" * 3_000_000,
        "quotes": header + b'"' * 2_000_001,
        "zeros": text([["0"] * 51] * 40),
        "ones": text([["1"] * 51] * 40),
        "missing": text([["-1"] * 51] * 40),
    }
