"""Pickles and archives by the hundred: nothing runs, nothing hangs, an attack is called one; honest files are read."""

from __future__ import annotations

import argparse
import collections
import datetime
import io
import pathlib
import pickle
import random
import resource
import struct
import subprocess
import sys
import time
import types
import zipfile
from typing import ClassVar

import numpy as np
import pytest
import torch

from poseparity.errors import BundleError, ImportRefused
from poseparity.importing.readers.inert import Recorded, read_checkpoint
from poseparity.importing.readers.mmaction2 import state_of
from poseparity.importing.readers.names import verdict
from poseparity.importing.readers.training_data import read_training_data
from poseparity.importing.readers.yolo import read_detector
from tests.conftest import ROOT
from tests.unit.test_import_inert import torch_file

# What somebody would have an unpickler call: of Python, of what training runs on, and of what is often beside it.
GADGETS = (ROOT / "tests/hostile_names.txt").read_text(encoding="utf-8").split()


def by_name(gadget: str, argument: str, form: str) -> bytes:
    """A program that calls what the last part of the name stands for, in each of the ways that pickle has."""
    module, _, name = gadget.rpartition(".")
    if form == "GLOBAL":
        return f"c{module}\n{name}\n(S'{argument}'\ntR.".encode()
    if form == "INST":
        return f"(S'{argument}'\ni{module}\n{name}\n.".encode()
    # the first part of the name as the module, and the rest as a path of attributes
    module, _, name = gadget.partition(".")
    texts = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
    text = argument.encode()[:250]
    return b"\x80\x04" + texts + b"\x93\x8c" + bytes([len(text)]) + text + b"\x85R."


@pytest.mark.parametrize("form", ["GLOBAL", "INST", "STACK_GLOBAL"])
def test_every_gadget_is_called_an_attack_and_none_is_called(tmp_path, form):
    canary = tmp_path / "c"
    quiet = []
    for gadget in GADGETS:
        path = torch_file(tmp_path / "hostile.pth", by_name(gadget, f"touch {canary}", form))
        with pytest.raises(ImportRefused) as error:
            read_checkpoint(path)
        if "which would run in whatever unpickles it; nothing was run here" not in str(error.value):
            quiet.append(gadget)
    assert quiet == []
    assert not canary.exists()
    assert len(GADGETS) > 200


OF_PYTHON = [
    ("pathlib.Path", "touch"),
    ("pathlib.PosixPath", "unlink"),
    ("types.SimpleNamespace", "x"),
    ("mmengine.logging.history_buffer.HistoryBuffer", "__init__"),
]


@pytest.mark.parametrize("owner, name", OF_PYTHON)
def test_an_attribute_of_pythons_own_is_an_attack(tmp_path, owner, name):
    module, _, kind = owner.rpartition(".")
    program = f"cbuiltins\ngetattr\n(c{module}\n{kind}\nS'{name}'\ntR(S'/tmp'\ntR.".encode()
    with pytest.raises(ImportRefused, match="would run in whatever unpickles it"):
        read_checkpoint(torch_file(tmp_path / "x.pth", program))


@pytest.mark.parametrize("text", ["os system", "os\x00", "a.b c", "x" * 300, "<lambda>", "é\u202e", "1a", ""])
def test_a_name_that_is_none_is_refused(tmp_path, text):
    program = b"\x80\x04" + b"".join(
        b"X" + struct.pack("<I", len(part)) + part for part in (text.encode(), b"system")
    ) + b"\x93."  # fmt: skip
    with pytest.raises(ImportRefused, match="holds a pickle") as error:
        read_checkpoint(torch_file(tmp_path / "x.pth", program))
    assert len(str(error.value)) < 300


def number(bits: int) -> bytes:
    return (1 << bits).to_bytes(bits // 8 + 2, "little")


LARGE = {
    "LONG4": b"\x80\x02\x8b" + struct.pack("<i", 10**6 + 2) + number(8 * 10**6) + b".",
    "LONG of 8000 bits": b"\x80\x02\x8b" + struct.pack("<i", 1000) + b"\x01" * 1000 + b".",
    "LONG": b"L" + b"9" * 4000 + b"L\n.",
    "INT": b"I" + b"9" * 4000 + b"\n.",
    "LONG of more digits": b"L" + b"9" * 10**6 + b"L\n.",
    "a negative length": b"\x80\x02\x8b" + struct.pack("<i", -5) + b".",
    "a number as a key": b"\x80\x02}\x8b" + struct.pack("<i", 2000) + b"\x01" * 2000 + b"Ns.",
    "a storage of a large number": b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00"
    + b"\x00\x00cpu\x8b" + struct.pack("<i", 2000) + b"\x01" * 2000 + b"tQ.",
    "text that is longer than the file": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.",
    "bytes that are longer than the file": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
    "a frame that is longer than the file": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "a byte array": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",
    "a buffer from outside": b"\x80\x05\x97.",
    "steps without end": b"\x80\x02" + b"N0" * 1_100_000 + b"N.",
    "an unknown protocol": b"\x80\xffN.",
    "text that is no text": b"\x80\x04\x8c\x02\xff\xfe.",
    "a float that is none": b"Fhello\n.",
    "surrogates": b"\x80\x02X\x03\x00\x00\x00\xed\xa0\x80.",
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_what_is_larger_than_it_looks_is_refused_quickly(tmp_path, name):
    path, began = torch_file(tmp_path / "x.pth", LARGE[name]), time.perf_counter()
    with pytest.raises(ImportRefused) as error:
        state_of(read_checkpoint(path))
    assert time.perf_counter() - began < 10
    assert len(str(error.value)) < 500 and "\n" not in str(error.value)
    if name.startswith("LONG") or "number" in name:
        assert "bits" in str(error.value) or "digits" in str(error.value)


def test_a_million_entries_are_refused_before_they_are_listed(tmp_path):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"N.")
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x05\x06")
    content[at + 12 : at + 16] = struct.pack("<I", 2**30)
    path.write_bytes(content)
    with pytest.raises(ImportRefused, match="lists more entries"):
        read_checkpoint(path)


def model_file(**attributes) -> bytes:
    """What ultralytics would save, with other attributes: its class is named, and never made."""
    kind = type("DetectionModel", (), {"__module__": "ultralytics.nn.tasks"})
    model = kind()
    model.__dict__.update({"names": {0: "person"}, "yaml": {}, "_modules": {}, **attributes})
    stream = io.BytesIO()

    class Pickler(pickle._Pickler):
        def save_global(self, obj, name=None):
            module, name = ("ultralytics.nn.tasks", "DetectionModel") if obj is kind else (obj.__module__, obj.__name__)
            self.write(f"c{module}\n{name}\n".encode())

        dispatch: ClassVar = {**pickle._Pickler.dispatch, type: save_global}

    Pickler(stream, 2).dump({"model": model})
    return stream.getvalue()


SHARED = [0]
for _ in range(15):
    SHARED = [SHARED] * 4
ROW = [-1, 1, "Conv", [8, 3, 2]]
MODELS = {
    "no yaml": {"yaml": None},
    "shared without end": {"yaml": {"backbone": SHARED, "head": []}},
    "a key that is a list": {"yaml": {"backbone": [], "head": [], (1, 2): 3}},
    "a tensor": {"yaml": {"backbone": [ROW], "head": [], "nc": Recorded}},
    "names without end": {"names": dict.fromkeys(range(20_000), "person")},
    "names that are a number": {"names": 7},
    "modules that are none": {"_modules": {"model": 7}, "yaml": {"backbone": [ROW], "head": []}},
    "modules in a list": {"_modules": [7], "yaml": {"backbone": [ROW], "head": []}},
    "parameters that are none": {"_parameters": {"a": 7}, "yaml": {"backbone": [ROW], "head": []}},
    "buffers": {"_non_persistent_buffers_set": 7, "_buffers": {"a": 7}, "yaml": {"backbone": [ROW], "head": []}},
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_something_else_is_refused(tmp_path, name):
    path = torch_file(tmp_path / "x.pt", model_file(**MODELS[name]))
    with pytest.raises(BundleError, match=r"x\.pt") as error:
        read_detector(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [torch.zeros(3), torch.zeros(0), 7, "x", [1], None])
def test_a_checkpoint_of_something_else_is_refused(tmp_path, value):
    for content in (
        {"model": value},
        {"ema": value},
        {"ema": value, "model": value},
        value,
        {"state_dict": {"a": [value]}},
    ):
        torch.save(content, tmp_path / "x.pt")
        with pytest.raises(ImportRefused):
            read_detector(tmp_path / "x.pt")
        if not isinstance(value, torch.Tensor):  # a dict of a tensor is a state dict
            with pytest.raises(ImportRefused):
                state_of(read_checkpoint(tmp_path / "x.pt"))


# --- damage ----------------------------------------------------------------------------------------------------------


def damaged(content: bytes, chance: random.Random) -> bytes:
    """A file with some bytes changed, cut out, doubled or moved."""
    mutated = bytearray(content)
    for _ in range(chance.choice([1, 1, 3, 20])):
        at, length = chance.randrange(len(mutated)), chance.choice([1, 2, 4, 50])
        kind = chance.randrange(4)
        if kind == 0:
            mutated[at : at + length] = chance.randbytes(length)
        elif kind == 1:
            del mutated[at : at + length]
        elif kind == 2:
            mutated[at:at] = mutated[at : at + length]
        else:
            mutated[at] = chance.choice([0, 0xFF, *b"cR.(tbsuN}]qhX\x8a\x8b\x80\x93\x94\x81\x92"])
    return bytes(mutated)


def honest() -> dict:
    from mmengine.logging import HistoryBuffer

    buffer = HistoryBuffer([0.5, 0.4], [1, 1])
    return {
        "state_dict": collections.OrderedDict(a=torch.arange(6.0).reshape(2, 3), b=torch.zeros(2, dtype=torch.int64)),
        "message_hub": {"log_scalars": {"train/loss": buffer}, "runtime_info": {"iter": np.int64(3)}},
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]},
        "args": argparse.Namespace(lr=0.1, out=pathlib.PosixPath("/tmp/x"), when=datetime.timedelta(seconds=3)),
        "more": types.SimpleNamespace(a=1, device=torch.device("cpu"), dtype=torch.float32, size=torch.Size([1, 2])),
        "scale": np.float32(0.5), "array": np.arange(3), "seen": {1, 2}, "queue": collections.deque([1]),
        "default": collections.defaultdict(list, a=[1]), "random": np.random.RandomState(3).get_state(),
        "generator": np.random.default_rng(3), "scheduler": torch.optim.lr_scheduler.StepLR.__name__,
        "module": torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.SiLU()), "none": type(None),
    }  # fmt: skip


def test_an_honest_checkpoint_is_read_without_a_warning(tmp_path):
    torch.save(honest(), tmp_path / "x.pth")
    found = read_checkpoint(tmp_path / "x.pth")
    assert found.unknown == () and found.warnings() == ()
    state, notes = state_of(found)
    assert torch.equal(state["a"], torch.arange(6.0).reshape(2, 3))
    assert not any("WARNING" in note for note in notes)


@pytest.mark.parametrize("part", ["pickle", "archive"])
def test_a_damaged_checkpoint_is_read_or_refused(tmp_path, part):
    """150 of each: no other error, no hang."""
    torch.save(honest(), tmp_path / "x.pth")
    content = (tmp_path / "x.pth").read_bytes()
    with zipfile.ZipFile(tmp_path / "x.pth") as archive:
        program = archive.read("x/data.pkl")
        storages = {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist() if "/data/" in name}
    chance, path, began = random.Random(part), tmp_path / "hostile.pth", time.perf_counter()
    refusals = 0
    for _ in range(150):
        if part == "archive":
            path.write_bytes(damaged(content, chance))
        else:
            torch_file(path, damaged(program, chance), **{f"s{key}": value for key, value in storages.items()})
        try:
            state_of(read_checkpoint(path))
        except ImportRefused as error:
            refusals += 1
            assert len(str(error)) < 1000
    assert refusals > 50
    assert time.perf_counter() - began < 60


def test_a_damaged_annotation_file_is_read_or_refused(tmp_path):
    keypoints = np.random.default_rng(1).uniform(10, 500, (1, 5, 17, 2)).astype(np.float16)
    entry = {
        "keypoint": keypoints,
        "keypoint_score": np.ones((1, 5, 17), np.float16),
        "img_shape": (480, 640),
        "label": 0,
    }
    content = pickle.dumps({"split": {"train": ["a"]}, "annotations": [entry]}, 4)
    path, chance = tmp_path / "x.pkl", random.Random(7)
    path.write_bytes(content)
    assert read_training_data(path).skeletons == 1
    for _ in range(150):
        path.write_bytes(damaged(content, chance))
        try:
            read_training_data(path)
        except ImportRefused as error:
            assert len(str(error)) < 1000


# --- names -----------------------------------------------------------------------------------------------------------

EXPECTED = (ROOT / "tests/honest_names.txt").read_text(encoding="utf-8").split()


def test_what_training_saves_is_expected():
    assert [name for name in EXPECTED if verdict(*name.rpartition(".")[::2]) != "expected"] == []


@pytest.mark.parametrize("name", ["__main__.Config", "mine.models.Net", "models.yolo.Model", "my_project.train.step"])
def test_what_nobody_knows_is_read_with_a_warning(tmp_path, name):
    module, _, kind = name.rpartition(".")
    program = b"\x80\x02}(X\x01\x00\x00\x00m" + f"c{module}\n{kind}\n".encode() + b")Ru."
    found = read_checkpoint(torch_file(tmp_path / "x.pth", program))
    assert found.unknown == (name,)
    assert found.warnings()[0].startswith(f"WARNING: x.pth names {name}, which")


MEASURE = """
import resource, sys, time
from pathlib import Path
from typing import ClassVar
from typing import ClassVar
from poseparity.errors import BundleError
from poseparity.importing.readers.inert import read_checkpoint
from poseparity.importing.readers.yolo import read_detector
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
worst = 0
for path in sorted(Path(sys.argv[1]).iterdir()):
    began = time.process_time()
    for read in (read_checkpoint, read_detector):
        try:
            read(path)
        except BundleError:
            pass
    worst = max(worst, time.process_time() - began)
print(worst, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
def test_no_file_takes_more_than_ten_seconds_or_a_gigabyte(tmp_path):
    """In a process that ends where it takes more than 3 GB of address space in addition to torch's own."""
    for index, program in enumerate([*LARGE.values(), model_file(**MODELS["shared without end"])]):
        torch_file(tmp_path / f"{index}.pt", program)

    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30, 12 * 2**30))
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))

    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=limits,
    )
    assert done.returncode == 0, done.stderr
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 20  # both readers
    assert megabytes < 1000
