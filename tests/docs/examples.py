"""The commands on a page, what the page says that they print, and whether that is what they print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .pages import Block, Page

ANYTHING = "…"  # on a page: whatever is printed there; as a line of its own, any number of lines


@dataclass(frozen=True)
class Example:
    """A command of a `console` block.

    Attributes:
        printed: what the page shows below it; "" where it shows nothing, and then nothing is compared.
        answer: the `json` block that follows, which is the same output laid out for reading.
    """

    heading: str
    command: str
    printed: str = ""
    answer: str = ""


def examples_of(page: Page) -> list[Example]:
    """Every command of the page in its order."""
    found: list[Example] = []
    for block in page.blocks:
        if block.language == "console":
            found += _commands(block)
        elif block.language == "json" and found and found[-1].heading == block.heading and not found[-1].printed:
            found[-1] = Example(block.heading, found[-1].command, answer=block.content)
    return found


def _commands(block: Block) -> Iterator[Example]:
    lines = block.content.splitlines()
    while lines:
        command = [lines.pop(0).removeprefix("$ ")]
        if heredoc := re.search(r"<<'(\w+)'", command[0]):
            while command[-1] != heredoc[1]:
                command.append(lines.pop(0))
        while command[-1].endswith("\\"):
            command.append(lines.pop(0))
        printed = []
        while lines and not lines[0].startswith("$ "):
            printed.append(lines.pop(0))
        yield Example(block.heading, "\n".join(command), "\n".join(printed))


def prints(shown: str, printed: str) -> bool:
    """Whether a page's `shown` is what was `printed`."""
    parts = []
    for line in shown.strip("\n").split("\n"):
        if line == ANYTHING:
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(re.escape(line).replace(re.escape(ANYTHING), r"[^\n]*?") + r"\n")
    return re.fullmatch("".join(parts), printed.strip("\n") + "\n") is not None


def answers(shown: object, answer: object) -> bool:
    """Whether a page's JSON is the answer: "…" is any value, as a key any further keys, in a list any further items."""
    if shown == ANYTHING:
        return True
    if isinstance(shown, dict) and isinstance(answer, dict):
        named = shown.keys() - {ANYTHING}
        complete = ANYTHING in shown or named == answer.keys()
        return complete and all(key in answer and answers(shown[key], answer[key]) for key in named)
    if isinstance(shown, list) and isinstance(answer, list):
        named = shown[:-1] if shown[-1:] == [ANYTHING] else shown
        complete = len(named) < len(shown) or len(named) == len(answer)
        return complete and len(named) <= len(answer) and all(map(answers, named, answer))
    return shown == answer


def agrees(example: Example, printed: str) -> bool:
    """Whether the page says what was printed."""
    if example.answer:
        return answers(json.loads(example.answer), json.loads(printed))
    return not example.printed or prints(example.printed, printed)
