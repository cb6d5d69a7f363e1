"""Look through a pickle's program before any of it runs: what would harm the unpickler itself is refused.

Python hashes and prints nested tuples by calling itself once a level, in C and without a limit when it hashes: a tuple
that is nested deep enough ends the interpreter, not the import, and one that holds itself twice a level takes forever.
So the program is followed here with a stack that holds, in the place of every object, how deep it would be nested and
how many objects somebody would meet who walks through it.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Iterable, Iterator

MAX_DEPTH = 200  # ultralytics' largest models are 40 deep
MAX_SIZE = 10**7  # ten times MAX_STEPS: a checkpoint reaches it only with what is held many times over
MAX_BITS = 4096  # no random generator's state has as many; to print a number takes the square of its digits
# ultralytics' largest models take 2 * 10**5 steps; annotations of training hold arrays, of hundreds of bytes a step.
MAX_STEPS, MIN_BYTES_A_STEP = 10**6, 100

# They fill the object below what they take from the stack, and leave it there.
_FILLING = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}
_REMEMBERING = {"PUT", "BINPUT", "LONG_BINPUT"}
_RECALLING = {"GET", "BINGET", "LONG_BINGET"}


class _Item:
    """An object on the stack: one more than the depth of the deepest object in it, and how many there are in it."""

    __slots__ = ("depth", "size")

    def __init__(self, content: Iterable[_Item] = ()) -> None:
        self.depth, self.size = 0, 1
        self.fill(content)

    def fill(self, content: Iterable[_Item]) -> None:
        for item in content:
            self.depth = max(self.depth, item.depth + 1)
            self.size += item.size
        if self.depth > MAX_DEPTH:
            raise pickle.UnpicklingError(f"it nests objects more than {MAX_DEPTH} deep")
        if self.size > MAX_SIZE:
            raise pickle.UnpicklingError(f"it holds more than {MAX_SIZE} objects, most of them by holding them again")


_MARK = _Item()


def check_program(program: bytes) -> None:
    """Follow a program without running it.

    Raises:
        pickle.UnpicklingError: it is over MAX_DEPTH, MAX_SIZE, MAX_BITS or its steps, makes the unpickler allocate
            more than the file is large, uses copyreg's codes for classes, or takes from its stack what is not there.
        ValueError: it is no program.
    """
    stack: list[_Item] = []
    memory: dict[int, _Item] = {}
    most_steps = MAX_STEPS + len(program) // MIN_BYTES_A_STEP
    for step, (opcode, argument, _) in enumerate(pickletools.genops(program)):
        if step > most_steps:
            raise pickle.UnpicklingError(f"it takes more than {most_steps} steps")
        name = opcode.name
        if isinstance(argument, int) and argument.bit_length() > MAX_BITS:
            raise pickle.UnpicklingError(f"it holds a number of more than {MAX_BITS} bits")
        if name.startswith("EXT"):
            raise pickle.UnpicklingError("it names a class by a number")
        if name in _REMEMBERING and argument > len(program):
            raise pickle.UnpicklingError(f"it remembers an object under number {argument}")
        if name in _REMEMBERING or name == "MEMOIZE":
            memory[len(memory) if name == "MEMOIZE" else argument] = _top(stack)
        elif name in _RECALLING:
            if argument not in memory:
                raise pickle.UnpicklingError(f"it recalls an object {argument} that it never remembered")
            stack.append(memory[argument])
        else:
            stack += _made(opcode, stack)


def _made(opcode: pickletools.OpcodeInfo, stack: list[_Item]) -> Iterator[_Item]:
    """Take from the stack what the opcode takes, and return what it puts there."""
    if opcode.name == "MARK":
        return iter((_MARK,))
    taken = list(_taken(opcode, stack))
    if opcode.name == "DUP":
        return iter(taken * 2)
    if opcode.name in _FILLING:
        target, *added = taken
        target.fill(added)
        return iter((target,))
    return (_Item(taken) for _ in opcode.stack_after)


def _taken(opcode: pickletools.OpcodeInfo, stack: list[_Item]) -> list[_Item]:
    """The items that the opcode takes, the lowest first, without the mark."""
    above: list[_Item] = []
    wanted = len(opcode.stack_before)
    if pickletools.markobject in opcode.stack_before:
        while (item := _pop(stack)) is not _MARK:
            above.append(item)
        wanted = opcode.stack_before.index(pickletools.markobject)
    below = [_pop(stack) for _ in range(wanted)]
    return [*below[::-1], *above[::-1]]


def _pop(stack: list[_Item]) -> _Item:
    item = _top(stack)
    stack.pop()
    return item


def _top(stack: list[_Item]) -> _Item:
    if not stack:
        raise pickle.UnpicklingError("it takes an object from an empty stack")
    return stack[-1]
