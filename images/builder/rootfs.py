"""Makes root file systems on this machine: Debian 12 from the mirror that this machine's own apt uses."""

import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from images.builder.content import EPOCH
from scripts.locking.errors import BuildError
from scripts.locking.locks import ROOT

SUITE = "bookworm"
COMMON = ROOT / "images" / "rootfs"  # what is left out, and how packages are recorded
_RECORD = "./usr/share/poseparity/debian-packages"


def make(target: Path, packages: Path) -> None:
    """Write a root file system with the packages that a file lists as a tar to `target`. Raises BuildError."""
    command = ["mmdebstrap", "--variant=essential", *_options(packages), SUITE, str(target)]
    if shutil.which("mmdebstrap") is None:
        raise BuildError(
            "the parent image is made with mmdebstrap, which is not installed",
            fix="as root: apt-get install mmdebstrap; or name a parent image with --parent NAME@sha256:DIGEST",
        )
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "LC_ALL": "C.UTF-8"}
    result = subprocess.run([*command, *_sources()], env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    if result.returncode != 0:
        raise BuildError(
            f"mmdebstrap failed with status {result.returncode}; its messages are above",
            fix="check that `apt-get update` works here; as an ordinary user, user namespaces are needed too",
        )


def record_in(tar_path: Path) -> str:
    """Return the list of packages that the tar of a root file system carries about itself."""
    with tarfile.open(tar_path) as tar:
        return tar.extractfile(_RECORD).read().decode("utf-8")


def _packages(path: Path) -> list[str]:
    lines = path.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _options(packages: Path) -> list[str]:
    options = [
        "--quiet",
        "--format=tar",
        f"--include={','.join(_packages(packages))}",
        '--aptopt=APT::Install-Recommends "false"',
        f"--dpkgopt={COMMON / 'dpkg.cfg'}",
        f'--customize-hook={shlex.quote(str(COMMON / "record-packages"))} "$1"',
    ]
    return options + [f'--aptopt={name} "{value}"' for name, value in _proxies()]


def _proxies() -> list[tuple[str, str]]:
    """The proxies of this machine's apt, whose configuration mmdebstrap does not read."""
    names = ("Acquire::http::Proxy", "Acquire::https::Proxy")
    values = ((name, _output("apt-config", "shell", "value", f"{name}/")) for name in names)
    return [(name, value.removeprefix("value=").strip("'")) for name, value in values if value]


def _sources() -> list[str]:
    """The Debian archives of this machine's apt; none on another distribution, where mmdebstrap knows its own."""
    targets = _output("apt-get", "indextargets", "--format", "$(CODENAME)|$(REPO_URI)|$(COMPONENT)|$(CREATED_BY)",
                      "Origin: Debian").splitlines()  # fmt: skip
    wanted = {SUITE, f"{SUITE}-updates", f"{SUITE}-security"}
    fields = sorted({tuple(target.split("|")) for target in targets})
    return [
        f"deb {uri} {codename} main"
        for codename, uri, component, kind in fields
        if codename in wanted and component == "main" and kind == "Packages"
    ]


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
