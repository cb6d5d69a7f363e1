"""Checkpoints that try to run code, to exhaust the machine, or to point outside of themselves: nothing runs."""

from __future__ import annotations

import argparse
import builtins
import collections
import contextlib
import io
import os
import pickle
import struct
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from poseparity.errors import ImportRefused
from poseparity.importing.readers.inert import Recorded, read_checkpoint
from poseparity.importing.readers.mmaction2 import state_of
from poseparity.importing.readers.yolo import read_detector


class Calls:
    """Pickles as a call of `function` with `args`."""

    def __init__(self, function, *args, state=None):
        self._parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self._parts


def torch_file(path: Path, program: bytes, **storages: bytes) -> Path:
    """A file as torch.save lays it out, around any pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", program)
        for key, content in storages.items():
            archive.writestr(f"model/data/{key.removeprefix('s')}", content)
        archive.writestr("model/version", "3\n")
    return path


ATTACKS = {
    "os.system": lambda canary: Calls(os.system, f"touch {canary}"),
    "subprocess": lambda canary: Calls(subprocess.check_call, ["touch", str(canary)]),
    "eval": lambda canary: Calls(eval, f"open({str(canary)!r}, 'w')"),
    "exec": lambda canary: Calls(exec, f"open({str(canary)!r}, 'w').close()"),
    "open": lambda canary: Calls(builtins.open, str(canary), "w"),
    "nested": lambda canary: {"state_dict": collections.OrderedDict(a=[(1, Calls(os.system, f"touch {canary}"))])},
    "pickle in pickle": lambda canary: Calls(pickle.loads, pickle.dumps(Calls(os.system, f"touch {canary}"))),
    "state": lambda canary: Calls(dict, state=Calls(os.system, f"touch {canary}")),
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_that_works_on_pickle_does_nothing_here(tmp_path, name, protocol):
    canary = tmp_path / "canary"
    program = pickle.dumps(ATTACKS[name](canary), protocol)
    with contextlib.suppress(TypeError, AttributeError, pickle.UnpicklingError):  # its result need not fit
        pickle.loads(program)
    assert canary.exists(), "this is no attack"
    canary.unlink()
    path = torch_file(tmp_path / "hostile.pth", program)
    with pytest.raises(ImportRefused, match=r"hostile\.pth (names|holds a pickle)") as error:
        read_checkpoint(path)
    assert error.value.fix
    assert not canary.exists()


HOSTILE_PROGRAMS = {
    "GLOBAL": b"cposix\nsystem\n(S'touch {canary}'\ntR.",
    "INST": b"(S'touch {canary}'\niposix\nsystem\n.",
    "OBJ": b"(cposix\nsystem\nS'touch {canary}'\no.",
    "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c{length}touch {canary}\x85R.",
    "dotted name": b"\x80\x04\x8c\x08builtins\x8c\x0c__import__.x\x93.",
    "of a module": b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n(S'os'\ntRS'system'\ntR(S'touch {canary}'\ntR.",
    "calls what getattr gave": b"cbuiltins\ngetattr\n(cmmengine\nx\nS'y'\ntR(S'touch {canary}'\ntR.",
    "dill": b"cdill._dill\n_create_function\n(cdill._dill\n_create_code\n(I0\ntR}tR.",
    "cloudpickle": b"ccloudpickle.cloudpickle\n_make_function\n(I0\ntR.",
    "sets the code of a function": b"ctorch._utils\n_rebuild_tensor_v2\n(N}S'_call'\nI1\nstb.",
    "sets the state of a storage type": b"ctorch\nFloatStorage\n}S'dtype'\nI1\nsb.",
    "sets __setstate__ of a class": b"ccollections\nOrderedDict\n(N}S'__setstate__'\ncx\ny\nstb.",
    "names a class by number": b"\x80\x02\x82\x01.",
    "remembers number 4294967295": b"\x80\x02K\x01r\xff\xff\xff\xff.",
    "not a pickle": b"hello",
    "cut short": b"\x80\x02}q\x00(",
    "empty": b"",
}


@pytest.mark.parametrize("name", HOSTILE_PROGRAMS)
def test_a_hostile_program_is_refused(tmp_path, name):
    canary = tmp_path / "c"
    program = HOSTILE_PROGRAMS[name].replace(b"{canary}", str(canary).encode())
    program = program.replace(b"{length}", bytes([len(f"touch {canary}")]))
    with pytest.raises(ImportRefused):
        read_checkpoint(torch_file(tmp_path / "hostile.pth", program))
    assert not canary.exists()


def touched(path: Path) -> None:
    """Somebody's own function, which an unpickler would call."""
    path.touch()


def test_a_call_of_what_we_do_not_know_is_recorded_and_not_made(tmp_path):
    canary = tmp_path / "canary"
    program = pickle.dumps({"state_dict": Calls(touched, canary), "args": argparse.Namespace(lr=0.1)}, 4)
    checkpoint = read_checkpoint(torch_file(tmp_path / "model.pth", program))
    assert not canary.exists()
    assert isinstance(checkpoint.content["state_dict"], Recorded)
    assert checkpoint.content["args"].state == {"lr": 0.1}
    assert {"argparse.Namespace", "pathlib.PosixPath"} <= set(checkpoint.recorded)
    assert checkpoint.unknown == (f"{__name__}.touched",)
    (warning,) = checkpoint.warnings()
    assert "WARNING: model.pth names" in warning and "touched" in warning
    with pytest.raises(ImportRefused, match="expected a dict of tensors"):
        state_of(checkpoint)


def reference(kind: str, key: str, count: int) -> bytes:
    """A program that consists of one persistent id."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return ("storage", getattr(torch, kind), key, "cpu", count) if obj == "it" else None

    content = io.BytesIO()
    Pickler(content, protocol=2).dump("it")
    return content.getvalue()


@pytest.mark.parametrize(
    "program, words",
    [
        (reference("FloatStorage", "../../../etc/passwd", 4), "unknown to us"),
        (reference("FloatStorage", "7", 4), "lacks its entry"),
        (reference("FloatStorage", "0", 2**40), "16 bytes in storage '0', expected"),
        (reference("FloatStorage", "0", -4), "holds -4 values"),
        (b"S'/etc/passwd'\nQ.", "no storage"),
        (b"P/etc/passwd\n.", "no storage"),
    ],
)
def test_a_storage_is_found_in_the_file_only_and_has_its_size(tmp_path, program, words):
    with pytest.raises(ImportRefused, match=words):
        read_checkpoint(torch_file(tmp_path / "model.pth", program, s0=bytes(16)))


@pytest.mark.parametrize(
    "size, stride, offset", [((2**40,), (0,), 0), ((5,), (1,), 0), ((4,), (1,), 1), ((2,), (-1,), 3), ((4,), (1, 1), 0)]
)
def test_a_tensor_stays_within_its_storage(tmp_path, size, stride, offset):
    storage = reference("FloatStorage", "0", 4)[2:-1]
    numbers = pickle.dumps((offset, size, stride), 2)[2:-1]
    program = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + storage + numbers
    unpacked = program + b"\x86R."  # a pair is not what the function takes either
    flat = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"".join(
        pickle.dumps(part, 2)[2:-1] for part in (offset, size, stride)
    ) + b"tR."  # fmt: skip
    for content in (unpacked, flat):
        with pytest.raises(ImportRefused):
            read_checkpoint(torch_file(tmp_path / "model.pth", content, s0=bytes(16)))


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", bytes(10**7))


def two_of_one_name(path: Path) -> None:
    torch_file(path, b"N.")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("model/data.pkl", b"N.")


def path_outside(path: Path) -> None:
    torch_file(path, b"N.")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/../../x", b"")


def declares_more(path: Path) -> None:
    """The central directory says that the pickle is 4 GiB long."""
    torch_file(path, b"N.")
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 20 : at + 28] = struct.pack("<II", 2**32 - 2, 2**32 - 2)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "make, words",
    [
        (bomb, "compressed or encrypted"),
        (two_of_one_name, "two entries of one name"),
        (path_outside, "with the path"),
        (declares_more, "declares more bytes"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), "damaged zip"),
        (lambda path: torch.save({"a": 1}, path, _use_new_zipfile_serialization=False), "not in the zip format"),
        (lambda path: torch_file(path, b"N.").write_bytes(b"\x89PNG"), "not in the zip format"),
        (lambda path: None, "is no file"),
    ],
)
def test_a_file_that_torch_did_not_write_is_refused(tmp_path, make, words):
    path = tmp_path / "model.pth"
    make(path)
    with pytest.raises(ImportRefused, match=words):
        read_checkpoint(path)


def test_a_flipped_bit_in_a_storage_is_noticed(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"a": torch.full((100,), 3.0)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(struct.pack("<f", 3.0) * 50)] ^= 1
    path.write_bytes(content)
    with pytest.raises(ImportRefused, match="damaged in its entry"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "dtype",
    [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool],
)
def test_tensors_are_read_as_torch_reads_them(tmp_path, dtype):
    base = torch.arange(24).reshape(4, 6).to(dtype)
    content = {
        "all": base,
        "turned": base.t(),
        "part": base[1:, ::2],
        "scalar": base[2, 3],
        "parameter": torch.nn.Parameter(base.float()),
        "empty": base[:0],
    }
    torch.save(content, tmp_path / "model.pth")
    found = read_checkpoint(tmp_path / "model.pth")
    assert found.recorded == ()
    for name, value in content.items():
        assert found.content[name].dtype == value.dtype
        assert torch.equal(found.content[name], value)


# Each nests one more object in the one before; Python alone would end the interpreter on some, by hashing them.
DEEP_PROGRAMS = {
    "tuples": lambda depth: b"N" + b"\x85" * depth,
    "tuples of marks": lambda depth: b"(" * depth + b"N" + b"t" * depth,
    "lists": lambda depth: b"]" * depth + b"N" + b"a" * depth,
    "dicts": lambda depth: b"}K\x01" * depth + b"N" + b"s" * depth,
    "a key": lambda depth: b"}N" + b"\x85" * depth + b"Ns",
    "a frozen set": lambda depth: b"(N" + b"\x85" * depth + b"\x91",
    "sizes": lambda depth: b"ctorch\nSize\n" * depth + b"N\x85\x85" + b"R\x85\x85" * (depth - 1) + b"R",
    "calls": lambda depth: b"cx\ny\n" * depth + b"N" + b"\x85R" * depth,
    "states": lambda depth: b"cx\ny\n)R" * depth + b"N" + b"b" * depth,
}


@pytest.mark.parametrize("depth", [201, 10**5])
@pytest.mark.parametrize("name", DEEP_PROGRAMS)
def test_objects_nested_without_end_are_refused(tmp_path, name, depth):
    path = torch_file(tmp_path / "deep.pth", b"\x80\x04" + DEEP_PROGRAMS[name](depth) + b".")
    with pytest.raises(ImportRefused, match=r"deep\.pth holds a pickle .* more than 200 deep") as error:
        read_checkpoint(path)
    assert error.value.fix


@pytest.mark.parametrize("name", DEEP_PROGRAMS.keys() - {"sizes"})
def test_objects_nested_as_deep_as_a_model_may_be_are_read_and_told_shortly(tmp_path, name):
    checkpoint = read_checkpoint(torch_file(tmp_path / "deep.pth", b"\x80\x04" + DEEP_PROGRAMS[name](90) + b"."))
    with pytest.raises(ImportRefused, match="expected a dict of tensors") as error:
        state_of(checkpoint)
    assert len(str(error.value)) < 400


def test_a_tuple_that_holds_itself_twice_a_level_is_refused(tmp_path):
    """To hash it takes 2 to the 100th steps."""
    program = b"\x80\x02}N" + b"q\x00h\x00\x86" * 100 + b"Ns."
    with pytest.raises(ImportRefused, match="by holding them again"):
        read_checkpoint(torch_file(tmp_path / "x.pth", program))


FILLED_LATER = {
    "a list in itself": b"]q\x00h\x00a",
    "a set of a list that is filled once it is inside": b"cbuiltins\nfrozenset\n]q\x00\x85h\x00N\x85a0R",
    "a size of tuples": b"ctorch\nSize\n]N\x85a\x85R",
}


@pytest.mark.parametrize("name", FILLED_LATER)
def test_an_object_that_is_filled_once_it_is_inside_another_is_no_way_around(tmp_path, name):
    path = torch_file(tmp_path / "x.pth", b"\x80\x02" + FILLED_LATER[name] + b".")
    with pytest.raises(ImportRefused, match=r"it has a (set|size) of|expected a dict of tensors"):
        state_of(read_checkpoint(path))


def test_an_architecture_in_itself_is_refused(tmp_path):
    endless: list = []
    endless.append(endless)
    model = type("DetectionModel", (torch.nn.Module,), {"__module__": "ultralytics.nn.tasks"})()
    model.names, model.yaml = {0: "person"}, {"backbone": endless, "head": []}
    with recordable(model):
        torch.save({"model": model}, tmp_path / "x.pt")
    with pytest.raises(ImportRefused, match=r"x\.pt has an architecture without an end"):
        read_detector(tmp_path / "x.pt")


@contextlib.contextmanager
def recordable(model):
    """Let pickle find the class of a model that pretends to be ultralytics' own."""
    from ultralytics.nn import tasks

    kind, theirs = type(model), tasks.DetectionModel
    tasks.DetectionModel = kind
    try:
        yield
    finally:
        tasks.DetectionModel = theirs


@pytest.mark.parametrize("program", [b"N.", b"0.", b"t.", b"h\x01.", b"a.", b"}(."])
def test_a_program_that_takes_what_is_not_there_ends_in_an_error(tmp_path, program):
    with pytest.raises(ImportRefused):
        state_of(read_checkpoint(torch_file(tmp_path / "x.pth", b"\x80\x04" + program)))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    | st.frozensets(st.text() | st.integers()) | st.sets(st.integers()),
)  # fmt: skip


@given(plain, st.sampled_from([3, 4]))
@example(b"PK\x06\x06", 3)  # signatures of a zip file's end, in its content
@example(b"PK\x06\x07" + b"PK\x05\x06" * 20, 4)
def test_plain_objects_are_read_as_pickle_reads_them(content, protocol):
    with tempfile.TemporaryDirectory() as folder:
        path = torch_file(Path(folder) / "x.pth", pickle.dumps([content, content], protocol))
        assert read_checkpoint(path).content == [content, content]
