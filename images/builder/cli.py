"""The command line of `images/build`."""

import argparse
import contextlib
import json
import subprocess
import sys
from pathlib import Path

from images.builder import recipes
from images.builder.recipes import Outcome, Recipe, Rootfs
from scripts.locking.errors import BuildError
from scripts.locking.locks import ROOT, alone

_DESCRIPTION = """\
Make an image, and the images that it needs, unless the engine holds them already: their tags are derived from their
content. Prints one JSON object; progress and warnings go to stderr."""


def main(arguments: list[str] | None = None) -> int:
    """Return the exit status: 0 done, 2 error (one line, and one line on the fix)."""
    options = _parser().parse_args(arguments)
    try:
        print(json.dumps(_answer(_run(options)), indent=2))
    except BuildError as error:
        print(f"images/build: {error}\n  fix: {error.fix}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="images/build", description=_DESCRIPTION)
    parser.add_argument("image", choices=["parent", "base", "app", "proxy-parent", "proxy"])
    parser.add_argument("--parent", default="rootfs", metavar="NAME@sha256:DIGEST",
                        help="the image below base (default: rootfs, made on this machine)")  # fmt: skip
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="the app's model bundle (default: the demo)")
    parser.add_argument("--check", action="store_true", help="make nothing, only say what would be made")
    parser.add_argument("--strict-debian", action="store_true", help="refuse Debian packages that the lock lacks")
    parser.add_argument("--write-debian-lock", action="store_true", help="make the parent and record its packages")
    parser.add_argument("--revision", default=None, help="label of what is made (default: what git says)")
    return parser


def _run(options: argparse.Namespace) -> list[Outcome]:
    recipe = recipes.recipe_for(options.image, options.parent, options.strict_debian, options.bundle)
    if options.check:
        return recipes.look([recipe, *recipe.parents])
    with alone("images"):
        if options.write_debian_lock:
            return _write_debian_lock(recipe)
        return recipes.build(recipe, options.revision or _revision())


def _write_debian_lock(recipe: Recipe) -> list[Outcome]:
    if not isinstance(recipe, Rootfs):
        raise BuildError(
            "--write-debian-lock is for `parent` and `proxy-parent`", fix="images/build parent --write-debian-lock"
        )
    recipe.write_lock()
    return recipes.look([recipe])


def _answer(outcomes: list[Outcome]) -> dict:
    """Return the JSON of the first outcome, the image that was asked for, with those it needs as its parents."""
    described = [_describe(outcome) for outcome in outcomes]
    drift = [line for outcome in outcomes for line in outcome.drift]
    for line in drift:
        print(f"images/build: differs from the lock of Debian packages: {line}", file=sys.stderr)
    return {**described[0], "drift": drift, "parents": described[1:]}


def _describe(outcome: Outcome) -> dict:
    image = outcome.image
    return {
        "image": outcome.recipe.reference,
        "id": image.id if image else None,
        "size": image.size if image else None,
        "changed": outcome.changed,
        "content": outcome.recipe.content,
    }


def _revision() -> str:
    """The commit that is built from; `unknown` in a tree without git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    with contextlib.suppress(FileNotFoundError):
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode == 0:
            return result.stdout.strip()
    return "unknown"
