"""The images, each with what it is made from: the parent (rootfs, or one named by digest), base, app, and the proxy.

A recipe knows its content without the engine, and its tag is derived from it: an image whose tag exists is the one that
a build would make.
"""

import json
import re
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from images.builder import content, debian, docker, rootfs
from images.builder.content import Entry
from scripts.locking import wheels
from scripts.locking.errors import BuildError
from scripts.locking.locks import LOCKFILES, ROOT, sha256

IMAGES = ROOT / "images"
CPU_LOCK = LOCKFILES / "cpu.lock"
DEBIAN_LOCK = LOCKFILES / "debian.lock"

# What the application image holds, at the same places as in a checkout.
TREE = (
    "LICENSE",
    "lockfiles/numerics.env",
    "lockfiles/parity.toml",
    "pyproject.toml",
    "scripts/verify_env.py",
    "service",
)

# Where a bundle lies in the image that is not one of the checkout's.
OWN_BUNDLE = "/opt/poseparity/bundle"

_WITH_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


class Recipe:
    """One image: `content` (64 hex digits) identifies what it is made from, `parents` are the recipes it needs."""

    name: str
    parents: tuple["Recipe", ...] = ()
    content: str

    @property
    def reference(self) -> str:
        """Repository and tag."""
        return f"poseparity/{self.name}:{self.content[:16]}"

    def drift(self, image: docker.Image) -> list[str]:
        """Return how `image` differs from what the project recorded, a line each; raises BuildError where strict."""
        return []

    def make(self, revision: str) -> None:
        """Make the image, whose parents the engine holds; raises BuildError."""
        raise NotImplementedError


class Rootfs(Recipe):
    """Debian 12 with Python, made on this machine with mmdebstrap."""

    name = "rootfs"
    lock = DEBIAN_LOCK
    sources = ("images/rootfs", "images/builder/rootfs.py")
    packages = IMAGES / "rootfs/packages.txt"
    write_command = "images/build parent --write-debian-lock"
    _DRIFT_LABEL = "poseparity.debian.drift"

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict

    @property
    def content(self) -> str:
        return content.digest(content.files(ROOT, *self.sources), self.lock.read_text("utf-8"))

    def drift(self, image: docker.Image) -> list[str]:
        return self._accept(json.loads(image.labels[self._DRIFT_LABEL]))

    def make(self, revision: str) -> None:
        self._make(write_lock=False)

    def write_lock(self) -> None:
        """Make the image, and record its packages as the ones that later builds are compared with."""
        self._make(write_lock=True)

    def _make(self, write_lock: bool) -> None:
        with tempfile.TemporaryDirectory(prefix="poseparity-rootfs-") as folder:
            tar = Path(folder) / "rootfs.tar"
            rootfs.make(tar, self.packages)
            found = debian.parse(rootfs.record_in(tar))
            if write_lock:
                debian.write(self.lock, found, self.write_command)
            differences = self.compare(found)
            labels = {self._DRIFT_LABEL: json.dumps(differences), "poseparity.content": self.content}
            with tar.open("rb") as stream:
                docker.import_root(stream, self.reference, labels)

    def compare(self, found: list[debian.Package]) -> list[str]:
        """Return how the packages of a build differ from the lock; raises BuildError where that was asked for."""
        return self._accept(debian.drift(debian.parse(self.lock.read_text("utf-8")), found))

    def _accept(self, differences: list[str]) -> list[str]:
        if differences and self.strict:
            raise BuildError(
                f"Debian's mirror has moved on since lockfiles/{self.lock.name}: {'; '.join(differences)}",
                fix=f"record them with `{self.write_command}`, or leave out --strict-debian",
            )
        return differences


class ProxyRootfs(Rootfs):
    """Debian 12 with HAProxy, made like the other."""

    name = "proxy-rootfs"
    lock = LOCKFILES / "debian-proxy.lock"
    sources = (
        "images/proxy-rootfs",
        "images/rootfs/dpkg.cfg",
        "images/rootfs/record-packages",
        "images/builder/rootfs.py",
    )
    packages = IMAGES / "proxy-rootfs/packages.txt"
    write_command = "images/build proxy-parent --write-debian-lock"


class NamedParent(Recipe):
    """An image from a registry, named with its digest."""

    def __init__(self, reference: str) -> None:
        if not _WITH_DIGEST.fullmatch(reference):
            raise BuildError(
                f"the parent image is {reference!r}, expected `rootfs` or NAME@sha256: and 64 hex digits",
                fix="`docker image inspect --format '{{.RepoDigests}}' NAME` shows the digest of an image",
            )
        self.name = self._reference = reference
        self.content = content.digest([], reference)

    @property
    def reference(self) -> str:
        return self._reference

    def make(self, revision: str) -> None:
        docker.pull(self.reference)


class Base(Recipe):
    """The operating system with the packages of cpu.lock in /opt/venv."""

    name = "base"

    def __init__(self, parent: Recipe) -> None:
        self.parents = (parent,)

    @property
    def content(self) -> str:
        return content.digest(self._files(), self.parents[0].content)

    def make(self, revision: str) -> None:
        folder = wheels.fetch(CPU_LOCK)
        checked = wheels.check(CPU_LOCK, folder)
        context = self._files() + [Entry(f"wheels/{path.name}", path) for _, path in sorted(checked.items())]
        arguments = {"PARENT": self.parents[0].reference, **_labels(self.content, revision)}
        docker.build(self.reference, partial(_write, context), arguments)
        docker.remove_stage(f"poseparity.stage={self.content}")

    def _files(self) -> list[Entry]:
        own = content.files(IMAGES / "base", "Dockerfile", "check-parent", "imports.py")
        return [*own, Entry("cpu.lock", CPU_LOCK)]


class App(Recipe):
    """The service and its bundle on the base image: the demo bundle, or the one in the folder `bundle`."""

    name = "app"

    def __init__(self, base: Base, bundle: Path | None = None) -> None:
        if bundle and not (bundle / "bundle.toml").is_file():
            raise BuildError(f"{bundle} holds no bundle.toml", fix="name the folder of a model bundle")
        self.parents = (base, *base.parents)
        self._bundle = bundle

    @cached_property
    def content(self) -> str:
        return content.digest(self._files(), self.parents[0].content)

    def make(self, revision: str) -> None:
        arguments = {"BASE": self.parents[0].reference, "VERSION": _version(), **_labels(self.content, revision)}
        if self._bundle:
            arguments["BUNDLE"] = OWN_BUNDLE
        docker.build(self.reference, partial(_write, self._files()), arguments)

    def _files(self) -> list[Entry]:
        tree = [Entry(f"tree/{entry.name}", entry.path) for entry in content.files(ROOT, *TREE)]
        own = content.files(self._bundle, ".") if self._bundle else []
        tree += [Entry(f"tree/{Path(OWN_BUNDLE).name}/{entry.name}", entry.path) for entry in own]
        return content.files(IMAGES / "app", "Dockerfile", "entrypoint", "healthcheck") + tree


class Proxy(Recipe):
    """HAProxy with the project's configuration, in front of the application."""

    name = "proxy"

    def __init__(self, root: ProxyRootfs) -> None:
        self.parents = (root,)

    @cached_property
    def content(self) -> str:
        return content.digest(self._files(), self.parents[0].content)

    def make(self, revision: str) -> None:
        arguments = {"PARENT": self.parents[0].reference, "VERSION": _version(), **_labels(self.content, revision)}
        del arguments["LOCK"]
        docker.build(self.reference, partial(_write, self._files()), arguments)

    def _files(self) -> list[Entry]:
        return content.files(IMAGES / "proxy", ".")


@dataclass(frozen=True)
class Outcome:
    """What `build` did: the image (None when only checked and absent), and whether it was or would be made."""

    recipe: Recipe
    image: docker.Image | None
    changed: bool
    drift: list[str]


def recipe_for(name: str, parent: str, strict: bool, bundle: Path | None = None) -> Recipe:
    """Return the recipe called parent, base, app, proxy-parent or proxy; `bundle` is the app's."""
    if name.startswith("proxy"):
        root = ProxyRootfs(strict)
        return root if name == "proxy-parent" else Proxy(root)
    root = Rootfs(strict) if parent == "rootfs" else NamedParent(parent)
    return {"parent": lambda: root, "base": lambda: Base(root), "app": lambda: App(Base(root), bundle)}[name]()


def build(recipe: Recipe, revision: str) -> list[Outcome]:
    """Make what is missing of a recipe and its parents; the recipe comes first in the answer. Raises BuildError."""
    image = docker.inspect(recipe.reference)
    if image:
        return [_outcome(recipe, image, changed=False), *look(recipe.parents)]
    parents = [outcome for parent in recipe.parents[:1] for outcome in build(parent, revision)]
    recipe.make(revision)
    return [_outcome(recipe, docker.inspect(recipe.reference), changed=True), *parents]


def look(recipes: Iterable[Recipe]) -> list[Outcome]:
    """Return what the engine holds of the recipes, without making anything; without an engine it holds nothing."""
    found = ((recipe, _held(recipe)) for recipe in recipes)
    return [_outcome(recipe, image, changed=image is None) for recipe, image in found]


def _outcome(recipe: Recipe, image: docker.Image | None, changed: bool) -> Outcome:
    """Raises BuildError for an image with differences that a strict recipe refuses, however long it has been there."""
    return Outcome(recipe, image, changed, recipe.drift(image) if image else [])


def _held(recipe: Recipe) -> docker.Image | None:
    try:
        return docker.inspect(recipe.reference)
    except docker.EngineError:
        return None


def _write(entries: list[Entry], stream) -> None:
    content.write_tar(stream, entries)


def _labels(identity: str, revision: str) -> dict[str, str]:
    return {"LOCK": sha256(CPU_LOCK), "CONTENT": identity, "REVISION": revision}


def _version() -> str:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
