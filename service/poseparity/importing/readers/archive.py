"""The zip file that torch.save writes: its pickle, and its storages as tensors, with every size checked."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import torch

from ...bundle.plain_files import shown
from ...errors import ImportRefused

_ZIP = b"PK\x03\x04"
_MAX_PICKLE = 256 * 2**20  # the tensors lie beside it; the objects that it makes take more memory than its bytes
_MAX_DIRECTORY = 8 * 2**20  # the list of its entries; 100 bytes an entry, and the largest models have some thousands
_BROKEN = (
    zipfile.BadZipFile, struct.error, RuntimeError, EOFError, ValueError, LookupError, ArithmeticError, TypeError,
    AttributeError, OSError,
)  # fmt: skip
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_SIZE, _END_64_SIZE, _LOCATOR_64_SIZE = 22, 56, 20  # bytes, see 4.3.14 to 4.3.16 of PKWARE's APPNOTE
_AGAIN = "save it again with torch.save, or get the file again from where it came from"


class Archive:
    """An open torch file. Nothing is unpacked to disk, and nothing is larger in memory than it is in the file.

    Raises:
        ImportRefused: it is no file of torch >= 1.6, or its entries do not fit each other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _check_kind(path)
        try:
            if _directory_size(path) > _MAX_DIRECTORY:
                raise self.refused(f"lists more entries than fit into {_MAX_DIRECTORY} bytes")
            self._zip = zipfile.ZipFile(path)
        except _BROKEN as error:
            raise self.refused(f"is a damaged zip file: {error}") from error
        try:
            self._root = self._check_entries()
            if self._zip.getinfo(f"{self._root}/data.pkl").file_size > _MAX_PICKLE:
                raise self.refused(f"has a pickle of more than {_MAX_PICKLE} bytes beside its tensors")
            if f"{self._root}/byteorder" in self._zip.namelist() and self._read("byteorder") != b"little":
                raise self.refused("was saved on a big-endian machine")
        except ImportRefused:
            self._zip.close()
            raise
        self._storages: dict[str, bytearray] = {}

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_) -> None:
        self._zip.close()

    def pickle(self) -> bytes:
        """The content of data.pkl."""
        return self._read("data.pkl")

    def storage(self, key: str, dtype: torch.dtype, count: int) -> torch.Tensor:
        """One storage as a flat tensor; tensors of the same storage share its memory.

        Args:
            key: its name below data/.
            count: how many values of `dtype` the pickle says that it holds.
        """
        if key not in self._storages:
            self._storages[key] = bytearray(self._read(f"data/{key}"))
        content = self._storages[key]
        if len(content) != count * dtype.itemsize:
            raise self.refused(f"has {len(content)} bytes in storage {key!r}, expected {count * dtype.itemsize}")
        return torch.frombuffer(content, dtype=dtype) if count else torch.empty(0, dtype=dtype)

    def refused(self, why: str, fix: str = _AGAIN) -> ImportRefused:
        return ImportRefused(f"{self.path.name} {why}", fix=fix)

    def _check_entries(self) -> str:
        """The name of the one folder that holds everything."""
        entries = self._zip.infolist()
        names = [entry.filename for entry in entries]
        if len(set(names)) != len(names):
            raise self.refused("holds two entries of one name")
        for entry in entries:
            parts = entry.filename.split("/")
            if len(parts) < 2 or not all(parts) or {".", ".."} & set(parts) or "\\" in entry.filename:
                raise self.refused(f"holds an entry with the path {shown(entry.filename)}")
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise self.refused(f"holds {shown(entry.filename)} compressed or encrypted, which torch never writes")
        # Nothing is compressed, so all entries fit into the file.
        if sum(entry.file_size for entry in entries) > self.path.stat().st_size:
            raise self.refused("declares more bytes than it has")
        roots = [name.removesuffix("/data.pkl") for name in names if name.endswith("/data.pkl")]
        if len(roots) != 1 or any(not name.startswith(f"{roots[0]}/") for name in names):
            raise self.refused("is a zip file, but not one of torch: it has no data.pkl in one top folder")
        return roots[0]

    def _read(self, name: str) -> bytes:
        try:
            return self._zip.read(f"{self._root}/{name}")
        except KeyError as error:
            raise self.refused(f"lacks its entry {name!r}") from error
        except _BROKEN as error:
            raise self.refused(f"is damaged in its entry {name!r}: {error}") from error


def _directory_size(path: Path) -> int:
    """How long the list of entries is, as the end of the file says it: to read a list takes time and memory."""
    with path.open("rb") as file:
        # A comment of up to 64 KiB may follow the end, whose three records have 98 bytes.
        file.seek(max(0, path.stat().st_size - 2**16 - 100))
        end = file.read()
    # Where zipfile looks for it: the signatures may stand in the entries' content as well.
    without_comment = len(end) - _END_SIZE
    at = without_comment if end[without_comment:].startswith(_END) and end.endswith(b"\0\0") else end.rfind(_END)
    if not 0 <= at <= without_comment:
        return 0
    at_64 = at - _LOCATOR_64_SIZE - _END_64_SIZE
    # The size of the list stands at 40 in the record for large files, at 12 in the other.
    if at_64 >= 0 and end[at_64 + _END_64_SIZE :].startswith(_LOCATOR_64) and end[at_64:].startswith(_END_64):
        return struct.unpack("<Q", end[at_64 + 40 : at_64 + 48])[0]
    return struct.unpack("<I", end[at + 12 : at + 16])[0]


def _check_kind(path: Path) -> None:
    if not path.is_file():
        raise ImportRefused(f"{path} is no file", fix="check the path")
    with path.open("rb") as file:
        start = file.read(len(_ZIP))
    if start != _ZIP:
        raise ImportRefused(
            f"{path.name} starts with {start!r}: it is not in the zip format of torch 1.6 and later",
            fix="load it where it was made, and write it again with torch.save",
        )
