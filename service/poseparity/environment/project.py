"""The project's own files: the bundle, the service's code, the locks."""

from __future__ import annotations

import os
from pathlib import Path

from .files import VerifyError, hash_tree, script_file


def default_root() -> Path:
    """The checkout, or /opt/poseparity in an image: the folder that holds scripts/."""
    return script_file().parent.parent


def describe_bundle(folder: Path | None) -> dict | None:
    """Hashes of every file of a model bundle; None where there is no bundle to describe."""
    if folder is None:
        return None
    if not folder.is_dir():
        raise VerifyError(f"the bundle {folder} is no folder: name one that holds bundle.toml")
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {"path": str(folder), **hash_tree(folder, files)}


def find_bundle(root: Path) -> Path | None:
    """The bundle that the service would load: POSEPARITY_BUNDLE, or the demo bundle where it exists."""
    if os.environ.get("POSEPARITY_BUNDLE"):
        return Path(os.environ["POSEPARITY_BUNDLE"])
    demo = root / "service" / "bundles" / "demo"
    return demo if demo.is_dir() else None


def describe_code(root: Path) -> dict | None:
    """One digest over the service's code; None where it is not beside this file."""
    service = root / "service"
    files = [*(service / "poseparity").rglob("*.py"), *service.glob("gunicorn.conf.py")]
    tree = hash_tree(root, files)
    return {"digest": tree["digest"], "files": len(tree["files"])} if files else None


def describe_locks(root: Path) -> dict[str, str]:
    return hash_tree(root, (root / "lockfiles").glob("*.lock"))["files"]
