"""Causes that the transforms before the recogniser tell: another argument, order or class, or one that is absent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...result import Cause
from ..parameters import ParameterDifference, differences
from ..stages import StageComparison
from .catalogue import cause, show

_PRENORMALISE = "PreNormalize2D"
_PARAMETER = "normalise.transforms"


@dataclass(frozen=True)
class _Transform:
    """One entry of [[normalise.transforms]].

    Attributes:
        place: in its list, from 0.
        name: its type; with its number, where the list has several of that type.
        arguments: all but the type.
    """

    place: int
    kind: str
    name: str
    arguments: dict[str, Any]


Pair = tuple[_Transform, _Transform]


def causes_of_transforms(stage: str, a: list, b: list, score: float) -> Iterator[Cause]:
    """What differs between two lists of transforms, thing by thing."""
    mine, theirs = _transforms(a), _transforms(b)
    pairs = _pairs(mine, theirs)
    for side, other, listed, place in (("B", "A", mine, 0), ("A", "B", theirs, 1)):
        alone = [each for each in listed if not any(each is pair[place] for pair in pairs)]
        yield from _absent(stage, side, other, alone, score)
    yield from _order(stage, pairs, score)
    for first, second in pairs:
        for each in differences("", first.arguments, second.arguments, into_lists=True):
            # The one with a number, where one side has several of that type.
            name = second.name if len(second.name) > len(first.name) else first.name
            yield cause(
                "transform-argument",
                score=score,
                stage=stage,
                parameter=f"{_PARAMETER}.{name}.{each.path}",
                transform=name,
                argument=each.path,
                a=each.a,
                b=each.b,
            )


def causes_of_classes(
    stage: StageComparison, difference: ParameterDifference, transforms: tuple[Any, Any], score: float
) -> Iterator[Cause]:
    """Another class under a name that both run. Where the lists differ, their classes differ for that reason."""
    types = [[each.kind for each in _transforms(listed)] if isinstance(listed, list) else None for listed in transforms]
    lists = difference.a, difference.b
    if types[0] != types[1] or not all(isinstance(each, list) for each in lists) or len(lists[0]) != len(lists[1]):
        return
    for pair in zip(*lists, strict=True):
        if pair[0] == pair[1]:
            continue
        a, b = (f"{each.get('module')}.{each.get('name')}" if isinstance(each, dict) else show(each) for each in pair)
        if a == b:  # from the same place: the digests of their sources tell
            sources = [show(each.get("sha256")) if isinstance(each, dict) else "unknown" for each in pair]
            a, b = f"{a}, source {sources[0]}", f"source {sources[1]}"
        name = pair[0].get("name") if isinstance(pair[0], dict) else pair[0]
        yield cause("transform-replaced", score=score, stage=stage.name, name=name, a=a, b=b)


def _transforms(listed: list) -> list[_Transform]:
    # Copies, because the type is taken out of them.
    tables = [dict(each) if isinstance(each, dict) else {"type": each} for each in listed]
    kinds = [show(table.pop("type", None)) for table in tables]
    transforms = []
    for place, (kind, table) in enumerate(zip(kinds, tables, strict=True)):
        name = kind if kinds.count(kind) == 1 else f"{kind} (number {kinds[: place + 1].count(kind)})"
        transforms.append(_Transform(place, kind, name, table))
    return transforms


def _pairs(a: list[_Transform], b: list[_Transform]) -> list[Pair]:
    """What belongs together, in the order of A: of one type the equal ones, then the others one by one."""
    pairs, left = [], list(b)
    for same_arguments in (True, False):
        for mine in a:
            if any(mine is pair[0] for pair in pairs):
                continue
            found = next(
                (
                    each
                    for each in left
                    if each.kind == mine.kind and (each.arguments == mine.arguments or not same_arguments)
                ),
                None,
            )
            if found is not None:
                left.remove(found)
                pairs.append((mine, found))
    return sorted(pairs, key=lambda pair: pair[0].place)


def _absent(stage: str, side: str, other: str, alone: list[_Transform], score: float) -> Iterator[Cause]:
    """A cause for each transform that only `other` runs."""
    for each in alone:
        if each.kind == _PRENORMALISE:
            yield cause("prenormalise-off", score=score, stage=stage, side=side, arguments=each.arguments)
        else:
            evidence = {"transform": each.name, "arguments": each.arguments}
            parameter = f"{_PARAMETER}.{each.name}"
            yield cause(
                "transform-absent", score=score, stage=stage, parameter=parameter, side=side, other=other, **evidence
            )


def _order(stage: str, pairs: list[Pair], score: float) -> Iterator[Cause]:
    """Of what both run, from the first to the last that stands elsewhere."""
    in_a, in_b = pairs, sorted(pairs, key=lambda pair: pair[1].place)
    moved = [place for place, both in enumerate(zip(in_a, in_b, strict=True)) if both[0] is not both[1]]
    if moved:
        window = slice(moved[0], moved[-1] + 1)
        names = [[pair[0].name for pair in order[window]] for order in (in_a, in_b)]
        yield cause("transforms", score=score, stage=stage, parameter=_PARAMETER, a=names[0], b=names[1])
