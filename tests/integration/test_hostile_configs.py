"""Configs that are more than what they say: data stays data, and Python has no network, programs, home or time."""

from __future__ import annotations

import copy
import http.server
import json
import os
import threading
import time
from pathlib import Path

import pytest
import yaml

from poseparity.errors import ImportRefused
from poseparity.importing.readers import config, config_process, confined
from poseparity.importing.readers.config import read_config, understood, warning_of
from poseparity.importing.readers.mmaction2 import fit
from tests.small_recogniser import MODEL, PIPELINE

INSTALLED = "mmaction::skeleton/stgcn/stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py"
CONTENT = {"model": MODEL, "test_pipeline": PIPELINE}


def read(path: Path):
    """As `read_config` does it, without the seconds that a new process takes to import MMAction2."""
    answer = path.with_suffix(".answer")
    status = config_process._confined(path, answer)
    if status != 0:
        raise ImportRefused(f"{path.name} cannot be evaluated", fix="see standard error")
    return understood(path, json.loads(answer.read_text()))


def written(path: Path, content) -> Path:
    if isinstance(content, str):
        path.write_text(content)
    else:
        path.write_text(json.dumps(content) if path.suffix == ".json" else yaml.dump(content))
    return path


# --- data ------------------------------------------------------------------------------------------------------------

RUN = "!!python/object/apply:os.system ['touch CANARY']"
DATA = {
    "apply.yaml": RUN,
    "in the model.yaml": f"model: {RUN}",
    "new.yml": "model: !!python/object/new:subprocess.Popen [['touch', 'CANARY']]",
    "name.yaml": "model: !!python/name:os.system ''",
    "module.yaml": "model: !!python/module:os ''",
    "object.yaml": "model: !!python/object:os.system {}",
    "as a key.yaml": f"? {RUN}\n: 1",
    "aliases.yaml": "a0: &a0 [x]\n"
    + "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(12)),
    "deep.yaml": "[" * 20_000,
    "deep.json": "[" * 100_000,
    "large.yaml": "#" * 300_000,
    "number.json": '{"model": ' + "9" * 5000 + "}",
    "list.yaml": "[1, 2]",
    "text.json": '"model"',
    "broken.json": "{",
    "no name of a config.txt": "model = 1",
}


@pytest.mark.parametrize("name", DATA)
def test_data_is_not_run(tmp_path, name):
    canary, began = tmp_path / "canary", time.perf_counter()
    path = written(tmp_path / name, DATA[name].replace("CANARY", str(canary)))
    with pytest.raises(ImportRefused) as error:
        read_config(path)
    assert "\n" not in str(error.value) and error.value.fix
    assert time.perf_counter() - began < 10
    assert not canary.exists()


BASES = {
    "Python": "base.py",
    "Python elsewhere": "/tmp/base.py",
    "Python of a package": "mmaction::../../../../../../../tmp/base.py",
    "another package": "mmengine::x.py",
    "absent": "nothing.yaml",
    "itself": "config.yaml",
    "a number": 7,
    "many": ["empty.yaml"] * 50,
    "a list of lists": [["empty.yaml"]],
    "a program": "hostile.yaml",
}


@pytest.mark.parametrize("name", BASES)
def test_a_base_of_data_is_data(tmp_path, name):
    canary = tmp_path / "canary"
    (tmp_path / "base.py").write_text(f"import pathlib\npathlib.Path({str(canary)!r}).touch()")
    written(tmp_path / "hostile.yaml", RUN.replace("CANARY", str(canary)))
    written(tmp_path / "empty.yaml", {})
    path = written(tmp_path / "config.yaml", {"_base_": BASES[name], **CONTENT})
    with pytest.raises(ImportRefused) as error:
        read(path)
    assert error.value.fix
    assert not canary.exists()


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_a_config_of_data_says_what_the_same_in_python_says(tmp_path, suffix):
    base = written(tmp_path / f"base{suffix}", {"model": MODEL})
    path = written(tmp_path / f"config{suffix}", {"_base_": base.name, "test_pipeline": PIPELINE,
                                                  "model": {"cls_head": {"num_classes": 3}}})  # fmt: skip
    found = read(path)
    assert found.model == {**MODEL, "cls_head": {**MODEL["cls_head"], "num_classes": 3}}
    assert found.pipeline == PIPELINE
    assert "nothing in it is run" in warning_of(path)


def test_what_mmengine_writes_as_yaml_is_read(tmp_path):
    from mmengine.config import Config

    content = {
        **CONTENT,
        "model": {**MODEL, "backbone": {**MODEL["backbone"], "tcn_ms_cfg": [(3, 1), ("max", 3), "1x1"]}},
    }
    Config(content).dump(tmp_path / "config.yaml")
    assert "!!python/tuple" in (tmp_path / "config.yaml").read_text()
    assert read(tmp_path / "config.yaml").model["backbone"]["tcn_ms_cfg"] == [[3, 1], ["max", 3], "1x1"]


@pytest.mark.parametrize(
    "name, text", [("config.py", f"_base_ = {INSTALLED!r}"), ("config.yaml", f"_base_: {INSTALLED}")]
)
def test_a_config_of_the_installed_mmaction2_is_a_base_of_both(tmp_path, name, text):
    assert read(written(tmp_path / name, text)).model["cls_head"]["num_classes"] == 60


# --- Python ----------------------------------------------------------------------------------------------------------

BASE = f"_base_ = {INSTALLED!r}\nimport os, socket, subprocess, sys, time, pathlib, threading, signal, ctypes\n"
FORBIDDEN = {
    "a shell": "assert os.system('touch CANARY') == 0",
    "a program": "subprocess.run(['touch', 'CANARY'], check=True)",
    "exec": "os.execv('/bin/touch', ['touch', 'CANARY'])",
    "fork": "os.fork()",
    "a thread": "threading.Thread(target=print).start()",
    "the network": "socket.create_connection(('127.0.0.1', PORT))",
    "the network by urllib": "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:PORT/')",
    "a server": "socket.socket().bind(('127.0.0.1', 0))",
    "a unix socket": "socket.socket(socket.AF_UNIX)",
    "the network by libc": "assert ctypes.CDLL(None).socket(2, 1, 0) >= 0",
    "kill": "os.kill(os.getppid(), signal.SIGKILL)",
    "another process": "assert ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0",
    "a namespace": "assert ctypes.CDLL(None).unshare(0x40000000) == 0",
    "memory": "x = bytearray(3 * 2**30)",
    "memory by torch": "import torch\nx = torch.zeros(2**30)",
    "disk": "with open('large', 'wb') as file:\n    file.write(bytes(3 * 2**20))",
    "time": "while True: pass",
    "sleep": "time.sleep(1000)",
    "a lock": "lock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    "a pipe": "os.mkfifo('pipe')\nopen('pipe')",
    "a deaf process": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
    "while True: pass",
    "an exit": "sys.exit(0)",
    "an early end": "os._exit(0)",
    "a crash": "import faulthandler\nfaulthandler.disable()\nctypes.string_at(0)",
    "no end of words": "print('x' * 10**8)\n1 / 0",
    "recursion": "def f(): f()\nf()",
}


@pytest.fixture(scope="module")
def visited():
    """A server that a config must not reach: its port, and who came."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_response(200)
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], seen
        server.shutdown()


@pytest.mark.parametrize("name", FORBIDDEN)
def test_pythons_config_cannot_do(tmp_path, name, visited, monkeypatch, capfd):
    port, seen = visited
    canary, began = tmp_path / "canary", time.perf_counter()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config_process, "_WALL_SECONDS", 2)
    text = FORBIDDEN[name].replace("CANARY", str(canary)).replace("PORT", str(port))
    with pytest.raises(ImportRefused):
        read(written(tmp_path / "config.py", BASE + text))
    assert time.perf_counter() - began < 10
    assert not canary.exists() and seen == []
    assert all(path.stat().st_size < 2**21 for path in tmp_path.iterdir())


def test_pythons_config_has_no_home_and_nothing_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    monkeypatch.setenv("POSEPARITY_BUNDLE_SIGNERS", "x")
    text = f"{BASE}raise ValueError(str((dict(os.environ), os.getcwd(), os.listdir(os.path.expanduser('~')))))"
    monkeypatch.setattr(config, "_environment", wrapped := _Recorded(config._environment))
    with pytest.raises(ImportRefused, match="cannot be evaluated: ValueError") as error:
        read_config(written(tmp_path / "config.py", text))
    assert "hunter2" not in str(error.value)
    assert wrapped.result["HOME"] != os.environ.get("HOME")
    assert not {"SECRET_TOKEN", "POSEPARITY_BUNDLE_SIGNERS", "SSH_AUTH_SOCK"} & wrapped.result.keys()
    assert "no network" in warning_of(tmp_path / "config.py")


class _Recorded:
    def __init__(self, function):
        self._function = function

    def __call__(self, *args):
        self.result = self._function(*args)
        return self.result


def test_where_the_kernel_takes_nothing_away_it_is_said_loudly(tmp_path, monkeypatch):
    def refused() -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(confined, "_filter_calls", refused)
    (note,) = read(written(tmp_path / "config.py", f"_base_ = {INSTALLED!r}")).notes
    assert note.startswith("WARNING: config.py was run WITH the network")
    assert read(written(tmp_path / "config.yaml", CONTENT)).notes == ()


ANSWERS = [
    [], 7, None, {}, {"model": {}}, {"model": {}, "pipelines": []}, {"model": [], "pipelines": {}}, {"problem": 7},
    {"problem": ["a\nb"]}, {"problem": ["a\nb", {}]}, {"model": {}, "pipelines": {"a": 7}},
]  # fmt: skip


@pytest.mark.parametrize("content", ANSWERS, ids=repr)
def test_an_answer_that_is_none_is_refused(tmp_path, content):
    """A config can write its answer by itself, and end."""
    with pytest.raises(ImportRefused):
        understood(tmp_path / "config.py", content)


WRONG = [
    ("model__backbone__graph_cfg", "coco"),
    ("model__backbone__graph_cfg", {"layout": ["coco"]}),
    ("model__backbone__in_channels", {}),
    ("model__cls_head__num_classes", [2]),
    ("model__backbone__type", ["STGCN"]),
    ("model__test_cfg", "x"),
    ("pipeline__1__feats", 7),
    ("pipeline__1__feats", [["j"]]),
    ("pipeline__2__clip_len", "os.system"),
    ("pipeline__4__num_person", []),
    ("pipeline__0__type", {"type": "os.system"}),
    ("pipeline__0__img_shape", "x"),
    ("pipeline__5__collect_keys", ["keypoint"]),
]


@pytest.mark.parametrize("place, value", WRONG, ids=repr)
def test_a_config_of_the_wrong_kinds_is_refused_in_one_line(tmp_path, place, value):
    content = {"model": copy.deepcopy(MODEL), "pipeline": copy.deepcopy(PIPELINE)}
    *path, last = [int(part) if part.isdecimal() else part for part in place.split("__") if part]
    table = content
    for part in path:
        table = table[part]
    table[last] = value
    with pytest.raises(ImportRefused) as error:
        fit(config.TestConfig(**content), tmp_path / "x.pth", ("a", "b"))
    assert error.value.fix and "\n" not in str(error.value)
