"""Signed bundles: a deployment that asks for a signature takes the bundles of its signers, whole and unchanged."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from poseparity.bundle import signing
from poseparity.bundle.bundle import load_bundle
from poseparity.bundle.signing import LIST, NAMESPACE, SIGNATURE, check_signature, sign
from poseparity.cli import main as cli
from poseparity.errors import BundleError
from poseparity.golden.record import record
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from tests.conftest import DEMO_BUNDLE


class Signer:
    """A key pair, and the file that allows its owner to sign."""

    def __init__(self, folder: Path, name: str):
        self.key = folder / name
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.key]
        subprocess.run(command, check=True, timeout=60)
        self.allowed = folder / f"{name}.allowed"
        self.allowed.write_text(f"{name}@lab {self.key.with_suffix('.pub').read_text()}")


@pytest.fixture(scope="module")
def signers(tmp_path_factory) -> tuple[Signer, Signer]:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed: signatures were NOT tested")
    folder = tmp_path_factory.mktemp("keys")
    return Signer(folder, "ours"), Signer(folder, "theirs")


@pytest.fixture
def signed(signers, tmp_path) -> Path:
    bundle = Path(shutil.copytree(DEMO_BUNDLE, tmp_path / "bundle"))
    sign(bundle, signers[0].key)
    return bundle


def test_a_signed_bundle_is_taken(signed, signers):
    ours, _ = signers
    names = {line.split("  ", 1)[1] for line in (signed / LIST).read_text().splitlines()}
    assert names == {path.relative_to(DEMO_BUNDLE).as_posix() for path in DEMO_BUNDLE.rglob("*") if path.is_file()}
    assert load_bundle(signed, ours.allowed).name == "demo"
    subprocess.run(["sha256sum", "--quiet", "-c", LIST], cwd=signed, check=True, timeout=60)


def changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


TAMPERED = {
    "the manifest": lambda bundle: (bundle / "bundle.toml").write_text((bundle / "bundle.toml").read_text() + "\n"),
    "the architecture": lambda bundle: changed(bundle / "detector.yaml"),
    "the clip": lambda bundle: changed(bundle / "clip.mp4"),
    "weights": lambda bundle: changed(bundle / "pose.safetensors"),
    "a golden trace": lambda bundle: changed(bundle / "golden/clip.json"),
    "arrays": lambda bundle: changed(bundle / "golden/clip.npz"),
    "the list": lambda bundle: changed(bundle / LIST),
    "the signature": lambda bundle: (bundle / SIGNATURE).write_text("hello"),
    "no signature": lambda bundle: (bundle / SIGNATURE).unlink(),
    "no list": lambda bundle: (bundle / LIST).unlink(),
    "a file more": lambda bundle: (bundle / "more.yaml").write_text("nc: 1"),
    "a file more, deep": lambda bundle: (bundle / "golden/more").write_text(""),
    "a file less": lambda bundle: (bundle / "detector.yaml").unlink(),
    "a link": lambda bundle: (bundle / "link").symlink_to("/etc/passwd"),
    "a pipe": lambda bundle: os.mkfifo(bundle / "pipe"),
    "a list of its own": lambda bundle: (bundle / LIST).write_text(""),
    "a large list": lambda bundle: (bundle / LIST).write_text("x" * 2**21),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_bundle_that_was_changed_since_is_refused(signed, signers, how):
    TAMPERED[how](signed)
    with pytest.raises(BundleError) as error:
        load_bundle(signed, signers[0].allowed)
    assert error.value.fix and "\n" not in str(error.value)
    assert any(word in str(error.value) for word in ("signed", LIST, SIGNATURE))


def test_a_bundle_of_somebody_else_is_refused(signed, signers):
    ours, theirs = signers
    with pytest.raises(BundleError, match="is not signed by anybody whom"):
        check_signature(signed, theirs.allowed)
    sign(signed, theirs.key)
    with pytest.raises(BundleError, match="is not signed by anybody whom"):
        check_signature(signed, ours.allowed)
    both = ours.allowed.with_name("both")
    both.write_text(theirs.allowed.read_text() + ours.allowed.read_text())
    check_signature(signed, both)


def test_a_signature_for_something_else_is_none(signed, signers):
    """The same key signs mails and commits, in namespaces of their own."""
    ours, _ = signers
    (signed / SIGNATURE).unlink()
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", ours.key, "-n", "git", signed / LIST], check=True, timeout=60
    )
    with pytest.raises(BundleError, match="is not signed by anybody whom"):
        check_signature(signed, ours.allowed)
    assert NAMESPACE != "git"


def test_signers_that_are_no_file_are_told(signed, tmp_path, signers):
    with pytest.raises(BundleError, match=r"POSEPARITY_BUNDLE_SIGNERS is .*nothing, which is no file"):
        load_bundle(signed, tmp_path / "nothing")
    (tmp_path / "empty").write_text("")
    with pytest.raises(BundleError, match="is not signed by anybody whom"):
        load_bundle(signed, tmp_path / "empty")


def test_without_ssh_keygen_nothing_passes(signed, signers, monkeypatch):
    monkeypatch.setattr(signing.shutil, "which", lambda name: None)
    with pytest.raises(BundleError, match="ssh-keygen is not installed") as error:
        load_bundle(signed, signers[0].allowed)
    assert "openssh-client" in error.value.fix


def test_a_key_that_is_none_signs_nothing(signed, tmp_path, capsys):
    (tmp_path / "key").write_text("hello")
    for key in (tmp_path / "key", tmp_path / "nothing"):
        assert cli.main(["bundle", "sign", str(signed), "--key", str(key)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 2


def test_by_command_and_by_setting(signers, tmp_path, monkeypatch, capsys):
    """What the setting asks for holds wherever a bundle is loaded, but where one is made or recorded."""
    ours, theirs = signers
    bundle = Path(shutil.copytree(DEMO_BUNDLE, tmp_path / "bundle"))
    monkeypatch.setenv("POSEPARITY_BUNDLE_SIGNERS", str(ours.allowed))
    for command in (["bundle", "show", str(bundle)], ["bundle", "verify", str(bundle)]):
        assert cli.main(command) == 2
        assert "is not signed" in capsys.readouterr().err
    with pytest.raises(BundleError, match="is not signed"):
        load_pipeline(load_settings(bundle=bundle))
    assert cli.main(["bundle", "sign", str(bundle), "--key", str(ours.key)]) == 0
    assert "files signed" in capsys.readouterr().out
    assert cli.main(["bundle", "verify", str(bundle)]) == 0
    pipeline = load_pipeline(load_settings(bundle=bundle))
    monkeypatch.setenv("POSEPARITY_BUNDLE_SIGNERS", str(theirs.allowed))
    with pytest.raises(BundleError, match="is not signed by anybody"):
        load_pipeline(load_settings(bundle=bundle))
    record(pipeline, ("gaps.csv",))  # golden/command.py loads it without the setting
    with pytest.raises(BundleError, match="since the bundle was signed"):
        load_bundle(bundle, ours.allowed)
