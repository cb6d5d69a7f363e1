"""Signed bundles: who made every file of a bundle, proven by OpenSSH's signatures (`ssh-keygen -Y`).

bundle.toml holds the checksums of weights and golden traces, not those of the clip and of ultralytics' architectures.
So what is signed is a list of all files, bundle.sha256, in the format of sha256sum; its signature is bundle.sha256.sig.
A deployment insists on a signature by a setting, POSEPARITY_BUNDLE_SIGNERS: ssh-keygen's file of allowed signers.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ..environment.files import sha256_file
from ..errors import BundleError

LIST, SIGNATURE = "bundle.sha256", "bundle.sha256.sig"
NAMESPACE = "poseparity-bundle"  # a signature that the same key made for a mail or a commit is none of a bundle
VARIABLE = "POSEPARITY_BUNDLE_SIGNERS"
_OWN = {LIST, SIGNATURE}
_MAX_FILES, _MAX_BYTES = 1000, 2**20  # a bundle has some ten files, and its list about 100 bytes for each
_TIMEOUT_S = 60  # to check a signature takes milliseconds: what takes so long hangs
_SIGN = "sign it: poseparity bundle sign DIR --key FILE; or get the bundle again from where it came from"


def sign(folder: Path, key: Path) -> int:
    """Write the list of a bundle's files, and its signature; a signature that is there is replaced.

    Returns:
        How many files are signed.

    Raises:
        BundleError: there is no ssh-keygen, or it cannot sign with that key.
    """
    if not key.is_file():
        raise BundleError(f"{key} is no file", fix=f"make a key: ssh-keygen -t ed25519 -f {key}")
    digests = {name: sha256_file(path).hexdigest() for name, path in _names(folder).items()}
    listed = folder / LIST
    # First: should this break off, no list stands beside the signature of another one.
    (folder / SIGNATURE).unlink(missing_ok=True)
    listed.write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()), encoding="utf-8")
    done = _ssh_keygen(["-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(listed)], stdin=None, timeout=None)
    if done.returncode != 0 or not (folder / SIGNATURE).is_file():
        listed.unlink()
        raise BundleError(
            f"ssh-keygen cannot sign with {key}: {_words(done)}",
            fix="check the key and its passphrase, or make another",
        )
    return len(digests)


def check_signature(folder: Path, signers: Path) -> None:
    """Hold a bundle to the signature of an allowed signer.

    Args:
        signers: lines of "NAME ssh-ed25519 AAAA...", see ALLOWED SIGNERS in ssh-keygen(1).

    Raises:
        BundleError: it has none, it is of somebody else, or a file has changed, was added, or is gone since.
    """
    if not signers.is_file():
        raise BundleError(f"{VARIABLE} is {signers}, which is no file", fix='write lines of "NAME ssh-ed25519 AAAA..."')
    for name in (LIST, SIGNATURE):
        if not (folder / name).is_file():
            raise BundleError(f"{folder} is not signed: it holds no {name}", fix=_SIGN)
    with (folder / LIST).open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise BundleError(f"{folder / LIST} has more than {_MAX_BYTES} bytes", fix=_SIGN)
    _check_signer(folder, content, signers)
    listed = _listed(content, folder)
    found = _names(folder)
    if differing := sorted(listed.keys() ^ set(found)):
        how = "is gone" if differing[0] in listed else "was added"
        raise BundleError(f"{folder}: {differing[0]} {how} since the bundle was signed", fix=_SIGN)
    for name, path in found.items():
        if sha256_file(path).hexdigest() != listed[name]:
            raise BundleError(f"{path} has changed since the bundle was signed", fix=_SIGN)


def _check_signer(folder: Path, content: bytes, signers: Path) -> None:
    signature = ["-s", str(folder / SIGNATURE), "-f", str(signers)]
    found = _ssh_keygen(["-Y", "find-principals", *signature])
    names = found.stdout.decode(errors="replace").splitlines() if found.returncode == 0 else []
    checks = [_ssh_keygen(["-Y", "verify", *signature, "-I", name, "-n", NAMESPACE], stdin=content) for name in names]
    if not any(done.returncode == 0 for done in checks):
        raise BundleError(
            f"{folder} is not signed by anybody whom {signers} allows: {_words(checks[0] if checks else found)}",
            fix=_SIGN,
        )


def _listed(content: bytes, folder: Path) -> dict[str, str]:
    """The signed list: name to digest."""
    lines = content.decode("utf-8", errors="replace").splitlines()
    entries = [line.partition("  ") for line in lines]
    listed = {name: digest for digest, _, name in entries}
    if len(listed) != len(lines) or any(len(digest) != 64 for digest in listed.values()):
        raise BundleError(f"{folder / LIST} is no list of sha256sum, one line a file", fix=_SIGN)
    return listed


def _names(folder: Path) -> dict[str, Path]:
    """Every file of the bundle but its signature, by its name below the folder.

    Raises:
        BundleError: something in it is neither a file nor a folder, or has a name that no list can hold.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()) or "\n" in name:
            raise BundleError(
                f"{path} is no plain file, which a signed bundle cannot hold", fix="copy its content there"
            )
        if path.is_file() and name not in _OWN:
            found[name] = path
        if len(found) > _MAX_FILES:
            raise BundleError(f"{folder} holds more than {_MAX_FILES} files", fix="name the folder of a model bundle")
    return found


def _ssh_keygen(
    arguments: list[str], stdin: bytes | None = b"", timeout: float | None = _TIMEOUT_S
) -> subprocess.CompletedProcess:
    """Run it; without `stdin` it may ask for a passphrase."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise BundleError(
            "ssh-keygen is not installed, and a signature cannot be made or checked without it",
            fix="apt-get install openssh-client",
        )
    try:
        return subprocess.run([program, *arguments], input=stdin, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"ssh-keygen did not end within {timeout} seconds", fix="run it by hand") from error


def _words(done: subprocess.CompletedProcess) -> str:
    said = " ".join((done.stderr + done.stdout).decode(errors="replace").split())
    return said[:200] or f"ssh-keygen ended with status {done.returncode}"
