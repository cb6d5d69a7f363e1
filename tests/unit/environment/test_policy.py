"""The policy's file: what is refused, and what a pattern matches."""

from __future__ import annotations

import pytest

from poseparity.environment.files import VerifyError
from poseparity.environment.pins import IN_EFFECT, NOT_OBSERVABLE
from poseparity.environment.policy import load_policy, matches, parse_pattern
from tests.unit.environment.support import POLICY


def test_policy_loads_without_tomllib(monkeypatch, policy):
    monkeypatch.setattr("poseparity.environment.policy.tomllib", None)  # what Python 3.8 to 3.10 have
    assert load_policy(POLICY) == policy


RULE = 'paths = ["a.**"]\nverdict = "must-equal"\nwhy = "w"\neffect = "e"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format = 2\n[[rule]]\n" + RULE, "format 2"),
        ("[[rule]]\n" + RULE, "format None"),
        ("format = 1\n", "keys"),
        ("format = 1\nextra = 1\n[[rule]]\n" + RULE, "extra"),
        ("format = 1\nrule = 3\n", "keys"),
        ("format = 1\n[[rule]]\n" + RULE + "colour = 1\n", "colour"),
        ("format = 1\n[[rule]]\n" + RULE.replace('why = "w"', ""), "why"),
        ("format = 1\n[[rule]]\n" + RULE.replace('"e"', '""'), "effect"),
        ("format = 1\n[[rule]]\n" + RULE.replace("must-equal", "maybe"), "maybe"),
        ("format = 1\n[[rule]]\n" + RULE.replace("must-equal", "must-be"), "value"),
        ("format = 1\n[[rule]]\n" + RULE + "value = 1\n", "value"),
        ("format = 1\n[[rule]]\n" + RULE.replace('["a.**"]', '"a"'), "arrays"),
        ("format = 1\n[[rule]]\n" + RULE.replace("a.**", "a.**.b"), r"\*\*"),
        ("format = 1\n[[rule]]\n" + RULE.replace("a.**", "a..b"), "empty"),
        ("format = 1\n[[rule]]\n" + RULE + "[[rule]]\n" + RULE, "second rule"),
        ("format = \n", "TOML"),
        (
            "format = 1\n[[rule]]\n" + RULE + 'only_in = "both"\n',
            "only_in is 'both', expected one of reference, current",
        ),
    ],
)
def test_a_wrong_policy_is_refused_with_the_reason_in_one_line(tmp_path, text, message):
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(VerifyError, match=message) as caught:
        load_policy(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a", False),
        ("a", "a.b", False),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.**", "a", True),
        ("a.**", "a.b.c", True),
        ("a.**", "b", False),
        ("a.x-*.c", "a.x-y.c", True),
        ("**", "a", True),
    ],
)
def test_patterns(pattern, path, expected):
    assert matches(parse_pattern(pattern, ""), tuple(path.split("."))) is expected


def test_policy_accepts_the_two_good_states_of_a_pin_and_no_other(policy):
    rules = [rule for rule in policy.rules if any(pattern[-1] == "state" for pattern in rule.patterns)]
    assert rules and all(rule.accepted == (IN_EFFECT, NOT_OBSERVABLE) for rule in rules)
