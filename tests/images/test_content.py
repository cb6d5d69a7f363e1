"""Tags follow from content, and from nothing else."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile

import pytest

from images.builder import content
from images.builder.recipes import App, Base, NamedParent, Rootfs
from scripts.locking.errors import BuildError


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package/code.py").write_text("answer = 42\n", "utf-8")
    (tmp_path / "run").write_text("#!/bin/sh\n", "utf-8")
    return tmp_path


def digest(folder) -> str:
    return content.digest(content.files(folder, "package", "run"))


def test_a_changed_byte_changes_the_digest(tree):
    before = digest(tree)
    (tree / "package/code.py").write_text("answer = 43\n", "utf-8")
    assert digest(tree) != before


def test_a_new_name_changes_the_digest(tree):
    before = digest(tree)
    (tree / "package/code.py").rename(tree / "package/other.py")
    assert digest(tree) != before


def test_the_executable_bit_changes_the_digest(tree):
    before = digest(tree)
    (tree / "run").chmod(0o755)
    assert digest(tree) != before


def test_times_permissions_of_others_and_caches_do_not_change_the_digest(tree):
    before = digest(tree)
    os.utime(tree / "run", (0, 0))
    (tree / "run").chmod(0o640)
    (tree / "package/__pycache__").mkdir()
    (tree / "package/__pycache__/code.cpython-311.pyc").write_bytes(b"\0")
    (tree / "package/name.egg-info").mkdir()
    (tree / "package/name.egg-info/PKG-INFO").write_text("Name: name\n", "utf-8")
    assert digest(tree) == before


def test_the_tar_is_the_same_for_the_same_content(tree, tmp_path_factory):
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(tree, copy, dirs_exist_ok=True, copy_function=shutil.copy)
    streams = [io.BytesIO(), io.BytesIO()]
    for folder, stream in zip((tree, copy), streams, strict=True):
        content.write_tar(stream, content.files(folder, "package", "run"))
    assert streams[0].getvalue() == streams[1].getvalue()
    with tarfile.open(fileobj=io.BytesIO(streams[0].getvalue())) as tar:
        assert tar.getnames() == ["package/code.py", "run"]


def test_a_link_is_refused(tree):
    (tree / "package/link.py").symlink_to("code.py")
    with pytest.raises(BuildError, match=r"link\.py is missing or is a link"):
        digest(tree)


def test_an_image_depends_on_its_parent():
    other = NamedParent(f"example/python@sha256:{'0' * 64}")
    assert Base(Rootfs()).content != Base(other).content
    assert App(Base(Rootfs())).content != App(Base(other)).content
    assert App(Base(Rootfs())).content == App(Base(Rootfs())).content


def test_an_image_depends_on_its_bundle(tmp_path):
    base = Base(Rootfs())
    (tmp_path / "bundle.toml").write_text("format = 1\n")
    with_bundle = App(base, tmp_path)
    assert with_bundle.content != App(base).content
    before = with_bundle.content
    (tmp_path / "weights.safetensors").write_bytes(b"1")
    assert App(base, tmp_path).content != before


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BuildError, match=r"holds no bundle\.toml"):
        App(Base(Rootfs()), tmp_path)


@pytest.mark.parametrize("reference", ["python", "python:3.11", "python@sha256:12", "python:3.11@md5:" + "0" * 64])
def test_a_parent_without_a_full_digest_is_refused(reference, checkout):
    command = [checkout / "images/build", "app", "--check", "--parent", reference]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stdout == ""
    assert f"the parent image is '{reference}', expected `rootfs` or NAME@sha256:" in result.stderr
    assert "  fix: " in result.stderr
