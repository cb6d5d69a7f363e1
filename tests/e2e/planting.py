"""Images with one fault each: the suite's own faults, planted in the deployed image as a layer on top of it."""

from __future__ import annotations

import inspect
import json
import shutil
import stat
from dataclasses import dataclass, field
from functools import singledispatch
from pathlib import Path

from bench.faults import bundles, code
from bench.faults import fault as kinds
from bench.faults.fault import BundleFault, CodeFault, Fault, ProcessFault
from bench.faults.processes import edited
from scripts.locking.locks import lock_path
from scripts.locking.wheels import check, fetch
from tests.conftest import DEMO_BUNDLE, ROOT

_CHECKOUT = Path("opt/poseparity")
_BUNDLE = _CHECKOUT / "service/bundles/demo"
_PACKAGES = Path("opt/venv/lib/python3.11/site-packages")
_MODULE = "service/poseparity/stages/__pycache__/crop.cpython-311.pyc"
_ENTRYPOINT = ["/opt/poseparity/bin/entrypoint"]

# pip comes and goes with the layer, as in the project's own images.
_INSTALL = (
    "RUN python3.11 -m venv /tmp/pip"
    " && /tmp/pip/bin/pip --python /opt/venv/bin/python install --quiet --no-index --no-deps /opt/wheels/*.whl"
    " && rm -r /tmp/pip /opt/wheels"
)

# Nothing that is installed is changed by it, so neither a version nor a checksum of the image tells of it. The patch
# lasts as long as the process: its context is never left.
_HOOK = """\
from bench.faults.code import FAULTS

planted = next(fault for fault in FAULTS if fault.name == {name!r}).patch()
planted.__enter__()
"""


# A csv.py that is Python's own but for what it says of itself.
_SHADOW = (
    "RUN mkdir /opt/extra"
    " && sed 's/^__version__ = .*/__version__ = \"planted\"/' /usr/lib/python3.11/csv.py >/opt/extra/csv.py"
)
# Python runs such byte code without a look at its source, which stays as it is.
_UNCHECKED = (
    "RUN cd /opt/poseparity/service/poseparity/stages && cp crop.py /tmp/crop.py && echo 'PLANTED = 1' >>/tmp/crop.py"
    ' && python -c \'import py_compile as p; p.compile("/tmp/crop.py", "__pycache__/crop.cpython-311.pyc", '
    'dfile="/opt/poseparity/service/poseparity/stages/crop.py", '
    "invalidation_mode=p.PycInvalidationMode.UNCHECKED_HASH)' && rm /tmp/crop.py"
)


@dataclass(frozen=True)
class ImageFault(Fault):
    """An image in which Python finds other modules or byte code, or libraries other variables; no bit need differ.

    Attributes:
        commands: the lines of its Dockerfile.
        facts: those that the report must name, with a beginning of what the image has there.
    """

    commands: tuple[str, ...] = field(kw_only=True)
    facts: dict[str, str] = field(kw_only=True)


_VARIABLES = {"MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_DEFAULT_FPMATH_MODE": "STRICT", "PYTHONOPTIMIZE": "1"}
IMAGE_FAULTS = (
    ImageFault("csv.py on PYTHONPATH", None, "shadowed-module", ("imports.shadowed.csv is /opt/extra/csv.py",),
               commands=(_SHADOW, "ENV PYTHONPATH=/opt/extra"),
               facts={"imports.shadowed.csv": "/opt/extra/csv.py", "imports.path": "+ /opt/extra"}),
    ImageFault("unchecked byte code", None, "byte-code", ("crop.cpython-311.pyc is not what its source gives",),
               commands=(_UNCHECKED,),
               facts={f"imports.bytecode.<checkout>/{_MODULE}": "not what its source gives"}),
    ImageFault("variables that libraries read", None, "variables", tuple(_VARIABLES),
               commands=tuple(f"ENV {name}={value}" for name, value in _VARIABLES.items()),
               facts={f"variables.{name}": value for name, value in _VARIABLES.items()}),
)  # fmt: skip


def plant(engine, base: str, tag: str, fault: Fault, folder: Path) -> str:
    """Build the image `tag` on `base` with the fault in it, without any network; return its id.

    Args:
        folder: an empty one.
    """
    tree = folder / "tree"
    tree.mkdir()
    commands = ["COPY tree /", *lines(fault, tree)]
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() else path.stat().st_mode | stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    (folder / "Dockerfile").write_text("\n".join([f"FROM {base}", "USER 0", *commands, "USER 10001:10001", ""]))
    image, _ = engine.images.build(path=str(folder), tag=tag, network_mode="none", rm=True)
    return image.id


@singledispatch
def lines(fault: Fault, tree: Path) -> list[str]:
    """Lay the files that a fault needs into `tree`, the image's root; return further lines of its Dockerfile."""
    raise TypeError(f"{fault.name} is a {type(fault).__name__}: say how that is planted in an image")


@lines.register
def _(fault: ImageFault, tree: Path) -> list[str]:
    return list(fault.commands)


@lines.register
def _(fault: BundleFault, tree: Path) -> list[str]:
    changed = bundles.copied(DEMO_BUNDLE, tree.with_name("bundle"), fault.change)
    for path in changed.iterdir():
        if path.is_file() and path.read_bytes() != (DEMO_BUNDLE / path.name).read_bytes():
            _lay(path, tree / _BUNDLE / path.name)
    shutil.rmtree(changed)
    return []


@lines.register
def _(fault: CodeFault, tree: Path) -> list[str]:
    for module in (kinds, bundles, code):
        source = Path(inspect.getsourcefile(module))
        _lay(source, tree / _PACKAGES / source.relative_to(ROOT))
    (tree / _PACKAGES / "planted_fault.py").write_text(_HOOK.format(name=fault.name), "utf-8")
    (tree / _PACKAGES / "planted_fault.pth").write_text("import planted_fault\n", "utf-8")
    return []


@lines.register
def _(fault: ProcessFault, tree: Path) -> list[str]:
    commands = []
    if fault.edit:
        file = Path("service/poseparity") / fault.edit[0]
        _lay(edited(tree.with_name("checkout"), *fault.edit).parent / file, tree / _CHECKOUT / file)
        shutil.rmtree(tree.with_name("checkout"))
    if fault.packages:
        for package in fault.packages:
            wheel = _wheel(package)
            _lay(wheel, tree / "opt/wheels" / wheel.name)
        commands.append(_INSTALL)
    if fault.variables:
        changes = [f"{name}={value}" if value else f"--unset={name}" for name, value in fault.variables.items()]
        commands.append(f"ENTRYPOINT {json.dumps([*_ENTRYPOINT, '/usr/bin/env', *changes])}")
    return commands


def _wheel(package: str) -> Path:
    lock, _, name = package.partition(":")
    return check(lock_path(lock), fetch(lock_path(lock)))[name]


def _lay(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
