"""TOML as Python 3.8 to 3.10 read it, which have no tomllib: as tomllib does, or not at all."""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseparity.environment.toml import read_simple_toml
from tests.unit.environment.support import POLICY


def test_simple_toml_reads_the_policy_as_tomllib_does():
    text = POLICY.read_text(encoding="utf-8")
    assert read_simple_toml(text) == tomllib.loads(text)


scalars = st.one_of(
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"], exclude_characters="\x7f")),
)
values = st.one_of(scalars, st.lists(scalars, max_size=4))


def toml_of(value) -> str:
    return json.dumps(value, ensure_ascii=False)


@given(st.lists(st.dictionaries(st.from_regex(r"[a-z_-]{1,8}", fullmatch=True), values, max_size=4), max_size=4))
def test_simple_toml_agrees_with_tomllib(tables):
    lines = ["format = 1", "# comment", ""]
    for table in tables:
        lines += ["[[rule]]", *(f"{key} = {toml_of(value)} # x" for key, value in table.items())]
    text = "\n".join(lines)
    assert read_simple_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "a = [1,\n  2, # two\n  3,\n]\nb = 'it\\s'",
        'a = "q \\" \\\\ \\u00e9 # no comment"',
        "a = []",
        "a = [\n]\nb = 2",
    ],
)
def test_simple_toml_agrees_on_spellings(text):
    assert read_simple_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a = ",
        "a = 01",
        "a = 1 2",
        "a = [1 2]",
        "a = [1",
        "a = nope",
        'a = "x',
        'a = """x"""',
        "a = 1\na = 2",
        "[rule]",
        "a = 1.5",
        "a = {b = 1}",
        "a = [[1]]",
        "a = truely",
        'a = "\\q"',
        "a = ]",
    ],
)
def test_simple_toml_refuses_what_it_does_not_know(text):
    with pytest.raises(ValueError, match="line"):
        read_simple_toml(text)
