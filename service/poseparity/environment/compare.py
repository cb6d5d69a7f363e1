"""Comparing two snapshots by the rules of a policy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from .policy import MUST_BE, MUST_EQUAL, SIDES, VERDICTS, Policy, Rule, matches


class Absent:
    """Stands for a fact that one side does not have."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()
CELL_WIDTH = 36


def pairs(reference: Any, current: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any, Any]]:
    """(path, reference's value, current's value) of every fact; a table that one side lacks is one fact."""
    if isinstance(reference, dict) and isinstance(current, dict):
        for key in sorted({*reference, *current}):
            yield from pairs(reference.get(key, ABSENT), current.get(key, ABSENT), (*path, key))
    else:
        yield path, reference, current


def leaves(tree: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """(path, value) of everything in a tree that is no table."""
    if isinstance(tree, dict):
        for key in sorted(tree):
            yield from leaves(tree[key], (*path, key))
    else:
        yield path, tree


def look_up(tree: Any, dotted: str) -> Any:
    """The value at a dotted path, ABSENT where there is none."""
    for key in dotted.split("."):
        tree = tree.get(key, ABSENT) if isinstance(tree, dict) else ABSENT
    return tree


class Judge:
    """Applies the rules that hold for two given snapshots: those whose `when_same` facts are equal on both sides."""

    def __init__(self, reference: dict, current: dict, policy: Policy) -> None:
        self.policy = policy
        self.rules = [rule for rule in policy.rules
                      if all(look_up(reference, path) == look_up(current, path) for path in rule.when_same)]
        self.by_section: dict[str, list[tuple[Rule, list[tuple]]]] = {}

    def rule_for(self, path: tuple, side: str | None) -> Rule | None:
        """The rule for a fact, which only `side` has, or both have."""
        # A snapshot has some 1,500 facts in 20 sections, and most patterns name the one section that they are for.
        if path[0] not in self.by_section:
            self.by_section[path[0]] = self.rules_of(path[0])
        return next((rule for rule, patterns in self.by_section[path[0]] if rule.only_in in (None, side)
                     and any(matches(pattern, path) for pattern in patterns)), None)

    def rules_of(self, section: str) -> list[tuple[Rule, list[tuple]]]:
        """The rules that can hold for facts of a section, in their order, each with the patterns that can match."""
        found = ((rule, [pattern for pattern in rule.patterns if fnmatchcase(section, pattern[0])])
                 for rule in self.rules)
        return [(rule, patterns) for rule, patterns in found if patterns]

    def judge(self, path: tuple, reference: Any, current: Any) -> Iterator[dict]:
        """The findings on one fact: none where it is as the policy wants it."""
        side = "current" if reference is ABSENT else "reference" if current is ABSENT else None
        rule = self.rule_for(path, side)
        if rule is None:
            yield no_rule(path, reference, current, self.policy.source)
        elif rule.verdict == MUST_BE and not (reference is ABSENT or current is ABSENT):
            if is_wrong(rule, reference) or is_wrong(rule, current):
                yield finding(path, reference, current, rule, wrong_text(rule))
        elif side:
            yield finding(path, reference, current, rule, f"only in {side}")
        elif reference != current:
            yield finding(path, reference, current, rule, "differs")
        if isinstance(reference, dict) != isinstance(current, dict):
            yield from self.judge_alone(path, reference, current)

    def judge_alone(self, path: tuple, reference: Any, current: Any) -> Iterator[dict]:
        """What must have a certain value must have it in a table that one side lacks, too."""
        on_reference = isinstance(reference, dict)
        for inner, value in leaves(reference if on_reference else current, path):
            rule = self.rule_for(inner, SIDES[0] if on_reference else SIDES[1])
            if rule and rule.verdict == MUST_BE and is_wrong(rule, value):
                sides = (value, ABSENT) if on_reference else (ABSENT, value)
                yield finding(inner, *sides, rule, wrong_text(rule))


def wrong_text(rule: Rule) -> str:
    return f"must be {show(rule.accepted[0])}" if len(rule.accepted) == 1 else "not as it must be"


def is_wrong(rule: Rule, value: Any) -> bool:
    """Whether a value is not one that a must-be rule accepts; items of a list that the rule excepts do not count."""
    if isinstance(value, list):
        value = [item for item in value if not any(fnmatchcase(str(item), pattern) for pattern in rule.except_items)]
    return not any(type(value) is type(accepted) and value == accepted for accepted in rule.accepted)


def finding(path: tuple, reference: Any, current: Any, rule: Rule, problem: str) -> dict:
    return {"path": ".".join(path), "reference": None if reference is ABSENT else reference,
            "current": None if current is ABSENT else current, "verdict": VERDICTS[rule.verdict], "problem": problem,
            "why": rule.why, "effect": rule.effect, "implied_by": implied_path(rule, path)}


def no_rule(path: tuple, reference: Any, current: Any, source: str) -> dict:
    rule = Rule((), MUST_EQUAL, "a fact that no rule covers would be ignored in silence",
                f"unknown: no rule of {source} covers this fact; add one, or use the policy of this release")
    return finding(path, reference, current, rule, "no rule")


def implied_path(rule: Rule, path: tuple) -> str | None:
    """The path that implies this one: a "*" segment of the rule's `implied_by` stands for the path's own segment."""
    if rule.implied_by is None:
        return None
    segments = rule.implied_by.split(".")
    return ".".join(path[i] if segments[i] == "*" else segments[i] for i in range(len(segments)))


ORDER = ("error", "tolerance", "allowed", "information", "implied")


def compare_snapshots(reference: dict, current: dict, policy: Policy) -> list[dict]:
    """Findings, gravest first: {"path", "reference", "current", "verdict", "problem", "why", "effect"}.

    Of those that are equally grave the fingerprint's come last: it shows what the others, the causes, do to results.
    `verdict` is "error", "tolerance" (results can be equal within a tolerance only), "allowed", "information" or
    "implied" (another build, say, where the version differs and was found already).
    """
    judge = Judge(reference, current, policy)
    found = [item for path, mine, theirs in pairs(reference, current) for item in judge.judge(path, mine, theirs)]
    errors = {item["path"] for item in found if item["verdict"] == "error"}
    for item in found:
        if item.pop("implied_by") in errors:
            item["verdict"] = "implied"
    return sorted(found, key=lambda item: (ORDER.index(item["verdict"]), item["path"].startswith("fingerprint.")))


def overall(findings: Iterable[dict]) -> str:
    """One of "mismatch", "tolerance" and "match"."""
    verdicts = {item["verdict"] for item in findings}
    return "mismatch" if "error" in verdicts else "tolerance" if "tolerance" in verdicts else "match"


def show(value: Any) -> str:
    """A value as a cell: text as it is, lists with commas, long ones cut in the middle."""
    if isinstance(value, dict):
        value = str(value["version"]) if "version" in value else f"{len(value)} facts"
    if isinstance(value, list):
        value = ", ".join(map(str, value)) or "none"
    text = value if isinstance(value, str) else "none" if value is None else json.dumps(value)
    return text if len(text) <= CELL_WIDTH else text[:CELL_WIDTH - 9] + ".." + text[-7:]
