"""Named bundles: which files a bundle is made of, where they are, and what is known of them.

The manifests of the official ones lie in named/; a path to a TOML file of the same form works as well.
"""

from __future__ import annotations

import tomllib
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..bundle.bundle import first_problem
from ..errors import FetchError

NAMED = Path(__file__).parent / "named"
WHOLE_SHA256 = 64  # hexadecimal digits
Role = Literal["detector", "pose", "checkpoint", "config", "clip"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RemoteFile(_Table):
    """A file that somebody publishes. What is not known for certain is left out."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    urls: tuple[str, ...] = Field(min_length=1, description="Tried in this order; the first is the file's identity.")
    licence: str = Field(min_length=1)
    bytes: int | None = Field(None, gt=0)
    md5: str | None = Field(None, pattern="^[0-9a-f]{32}$")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{8,64}$", description="The whole, or its first digits.")
    note: str | None = None

    @property
    def whole_hash(self) -> bool:
        """Whether a hash of the whole file is known, so that wrong bytes are told from right ones without doubt."""
        return self.md5 is not None or len(self.sha256 or "") == WHOLE_SHA256

    @model_validator(mode="after")
    def _urls_are_http(self) -> RemoteFile:
        for url in self.urls:
            if not url.startswith(("https://", "http://")):
                raise ValueError(f"{url} is no http or https URL")
        return self


class NamedBundle(_Table):
    """The content of a manifest. `folder` is where it was read from."""

    folder: Path
    format: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str
    summary: str
    licence: str = Field(description="Of the recogniser, and of what does not say its own.")
    labels: tuple[str, ...] = Field(min_length=2)
    mmaction2_config: str | None = Field(None, description="Path below configs/ of the installed MMAction2.")
    config_file: str | None = Field(None, description="Path of a config, relative to the manifest.")
    clip_label: str | None = Field(None, description="What the clip shows; left out where nobody has looked.")
    settings: tuple[str, ...] = Field((), description="SECTION.KEY=VALUE, as --set has them.")
    files: dict[Role, RemoteFile]

    @model_validator(mode="after")
    def _is_complete(self) -> NamedBundle:
        if absent := {"detector", "pose", "checkpoint"} - self.files.keys():
            raise ValueError(f"files lacks {', '.join(sorted(absent))}")
        configs = [self.mmaction2_config, self.config_file, self.files.get("config")]
        if len([config for config in configs if config]) != 1:
            raise ValueError("expected exactly one of mmaction2_config, config_file and files.config")
        names = [file.name for file in self.files.values()]
        if len(set(names)) != len(names):
            raise ValueError("two files have one name")
        return self

    def local_config(self) -> Path | None:
        """The config where it needs no fetching: MMAction2's own, which keeps its _base_ files, or one beside us.

        Raises:
            FetchError: there is no such file.
        """
        if self.files.get("config"):
            return None
        if self.mmaction2_config:  # in MMAction2's wheel, which is not imported for it
            path = Path(find_spec("mmaction").origin).parent / ".mim/configs" / self.mmaction2_config
        else:
            path = self.folder / self.config_file
        if not path.is_file():
            raise FetchError(f"{self.name}: its config {path} is no file", fix="correct the manifest, or its folder")
        return path


def available() -> list[NamedBundle]:
    """The named bundles that come with the package, by name."""
    return [_read(path) for path in sorted(NAMED.glob("*.toml"))]


def load_named(name: str) -> NamedBundle:
    """A named bundle of the package, or of a manifest when `name` ends in .toml.

    Raises:
        FetchError: there is none, or its manifest is wrong.
    """
    if PurePosixPath(name).suffix == ".toml":
        return _read(Path(name))
    names = sorted(path.stem for path in NAMED.glob("*.toml"))
    if name not in names:
        raise FetchError(f"{name} is no named bundle", fix=f"name one of {', '.join(names)}, or a manifest: FILE.toml")
    return _read(NAMED / f"{name}.toml")


def _read(path: Path) -> NamedBundle:
    if not path.is_file():
        raise FetchError(f"{path} is no file", fix="check the path of the manifest")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return NamedBundle(**{**content, "folder": path.resolve().parent})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FetchError(f"{path} is not TOML: {error}", fix="correct that line") from error
    except ValidationError as error:
        raise FetchError(f"{path}: {first_problem(error)}", fix="correct that key") from error
