"""parity.toml: the rules by which differences are judged."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from .files import FORMAT, VerifyError, read_text
from .toml import read_simple_toml

try:
    import tomllib
except ImportError:  # Python < 3.11: read_simple_toml() below reads the part of TOML that parity.toml uses
    tomllib = None

MUST_EQUAL, MUST_BE = "must-equal", "must-be"
VERDICTS = {MUST_EQUAL: "error", MUST_BE: "error", "tolerance": "tolerance", "may-differ": "allowed",
            "information": "information"}
RULE_LISTS = ("paths", "one_of", "when_same", "except_items")
RULE_KEYS = {*RULE_LISTS, "verdict", "why", "effect", "value", "implied_by", "only_in"}
SIDES = ("reference", "current")


class Rule(NamedTuple):
    """One rule of parity.toml, for the paths that match one of its patterns (tuples of segments)."""

    patterns: tuple
    verdict: str
    why: str
    effect: str
    accepted: tuple = ()
    when_same: tuple = ()
    except_items: tuple = ()
    implied_by: str | None = None
    only_in: str | None = None


class Policy(NamedTuple):
    """The ordered rules of a parity.toml: the first that matches a path judges it."""

    source: str
    rules: tuple


def load_policy(path: Path) -> Policy:
    """Reads and checks a parity.toml; raises VerifyError naming the rule and what is wrong with it."""
    text = read_text(Path(path), "the policy")
    try:
        document = tomllib.loads(text) if tomllib else read_simple_toml(text)
    except ValueError as error:
        raise VerifyError(f"the policy {path} is not the TOML expected ({error}): correct it") from error
    tables = document.get("rule")
    if document.get("format") != FORMAT or set(document) != {"format", "rule"} or not isinstance(tables, list):
        raise VerifyError(f"the policy {path} has the keys {sorted(document)} and format {document.get('format')!r}, "
                          f"expected format = {FORMAT} and [[rule]] tables only: correct it")
    rules = tuple(parse_rule(table, f"{path}, rule {number}") for number, table in enumerate(tables, 1))
    check_reachable(rules, str(path))
    return Policy(str(path), rules)


def parse_rule(table: dict, where: str) -> Rule:
    """One [[rule]] table as a Rule; raises VerifyError."""
    unknown = sorted(set(table) - RULE_KEYS)
    scalars = [key for key in RULE_LISTS if not isinstance(table.get(key, []), list)]
    if scalars:
        raise VerifyError(f"{where}: {', '.join(scalars)} must be arrays: correct it")
    missing = [key for key in ("paths", "verdict", "why", "effect") if not table.get(key)]
    if unknown or missing:
        raise VerifyError(f"{where}: found unknown keys {unknown}, and no or empty {missing}: correct it")
    if table["verdict"] not in VERDICTS:
        raise VerifyError(f"{where}: verdict is {table['verdict']!r}, expected one of {', '.join(VERDICTS)}")
    if len({"value", "one_of"}.intersection(table)) != (table["verdict"] == MUST_BE):
        raise VerifyError(f"{where}: expected `value` or `one_of` with verdict {MUST_BE!r}, and only there: correct it")
    if table.get("only_in", SIDES[0]) not in SIDES:
        raise VerifyError(f"{where}: only_in is {table['only_in']!r}, expected one of {', '.join(SIDES)}")
    accepted = (table["value"],) if "value" in table else tuple(table.get("one_of", ()))
    return Rule(tuple(parse_pattern(text, where) for text in table["paths"]), table["verdict"], table["why"],
                table["effect"], accepted, tuple(table.get("when_same", ())),
                tuple(table.get("except_items", ())), table.get("implied_by"), table.get("only_in"))


def parse_pattern(text: str, where: str) -> tuple:
    """The segments of a pattern: "*" in a segment matches as in file names, a last "**" any rest, or none."""
    segments = tuple(text.split("."))
    if "" in segments or "**" in segments[:-1]:
        raise VerifyError(f"{where}: pattern {text!r} has an empty segment or a ** before its end: correct it")
    return segments


def check_reachable(rules: Iterable[Rule], where: str) -> None:
    """Raises VerifyError where a pattern comes twice and the first rule always applies: the second never would."""
    seen = set()
    for rule in rules:
        repeated = seen.intersection(rule.patterns)
        if repeated:
            raise VerifyError(f"{where} has a second rule for {'.'.join(min(repeated))} that never applies: remove it")
        if not rule.when_same and not rule.only_in:
            seen.update(rule.patterns)


def matches(pattern: tuple, path: tuple) -> bool:
    """Whether a pattern's segments match a path's."""
    if pattern[-1] == "**":
        pattern, path = pattern[:-1], path[:len(pattern) - 1]
    return len(pattern) == len(path) and all(fnmatchcase(path[i], pattern[i]) for i in range(len(path)))
