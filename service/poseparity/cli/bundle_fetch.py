"""`poseparity bundle fetch`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .. import numerics
from ..errors import FetchError, PoseParityError
from ..fetching.lockfile import DEFAULT, LockFile
from ..fetching.named import NamedBundle, RemoteFile, available, load_named
from ..fetching.progress import Progress, size
from ..outputs import check_folder

if TYPE_CHECKING:
    from ..fetching.obtain import Source
    from ..importing.assemble import Request

_HELP = "fetch the files of a named bundle, check them, and make the bundle"


def add_parser(actions) -> None:
    """Add `fetch` to the actions of `poseparity bundle`. Nothing heavy is imported here."""
    action = actions.add_parser("fetch", help=_HELP, description=_HELP)
    action.add_argument("name", nargs="?", metavar="NAME", help="of the bundle, see --list; or a manifest, FILE.toml")
    action.add_argument("output", nargs="?", type=Path, metavar="OUTPUT", help="folder to write; it must not exist")
    action.add_argument("--list", action="store_true", help="show what there is: files, sizes, licences")
    action.add_argument("--lock", type=Path, default=DEFAULT, metavar="FILE",
                        help=f"records sha256 the first time, holds files to it (default: {DEFAULT})")  # fmt: skip
    where = action.add_mutually_exclusive_group()
    where.add_argument("--from", type=Path, dest="folder", metavar="FOLDER", help="take the files from there, offline")
    where.add_argument("--mirror", metavar="URL", help="take the files from below this URL, under the same names")
    action.add_argument("--cache", type=Path, metavar="FOLDER", help="keeps downloads (default: ~/.cache/poseparity)")
    action.add_argument("--retries", type=int, default=5, metavar="N", help="tries after the first (default: 5)")
    action.add_argument("--stall", type=float, default=60, metavar="SECONDS",
                        help="without any bytes, until a connection is given up (default: 60)")  # fmt: skip
    action.add_argument("--clip", type=Path, metavar="FILE", help="video of yours in the place of the bundle's own")
    action.add_argument("--clip-label", metavar="NAME", help="what the clip shows (default: what the model says)")
    action.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE",
                        help="a parameter, such as crop.padding=0.10; may be repeated")  # fmt: skip
    action.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    if options.list:
        listed = [load_named(options.name)] if options.name else available()
        print("\n\n".join(map(_description, listed)))
        return 0
    if not (options.name and options.output):
        raise FetchError("expected NAME and OUTPUT", fix="poseparity bundle fetch --list shows the names")
    named, source, lock = load_named(options.name), _source(options), LockFile(options.lock)
    numerics.restart_with_pins()
    from ..importing import overrides
    from ..importing.assemble import check_request

    files = {role: file for role, file in named.files.items() if role != "clip" or not options.clip}
    request = _request(named, options, {role: source.place(file) for role, file in files.items()})
    # What is wrong is told before minutes of downloading.
    check_request(request)
    check_folder(lock.path.resolve().parent)
    overrides.parse(list(request.settings))
    print(_description(named), flush=True)
    try:
        recorded = _fetch_and_import(request, list(files.values()), source, lock)
    except KeyboardInterrupt as error:
        raise FetchError("stopped by the keyboard", fix="the same command goes on where it stopped") from error
    print(f"{recorded}\n{options.output}: done")
    return 0


def _fetch_and_import(request: Request, files: list[RemoteFile], source: Source, lock: LockFile) -> str:
    """What became of the lock file."""
    from ..fetching.obtain import alone, obtain
    from ..importing.assemble import import_bundle
    from ..importing.readers.config import warning_of

    progress = Progress()
    with alone(source, progress):
        found = obtain(files, source, lock, progress)
        progress.note("all files are there and checked; making the bundle, and letting it recognise its clip")
        progress.note(f"{request.recogniser_config}: {warning_of(request.recogniser_config)}")
        try:
            import_bundle(request, tell=print)
        except PoseParityError:
            # A file that no hash vouches for may be what it stumbled over: it is not taken from the cache again.
            for file in found:
                if not (source.folder or file.whole_hash or lock.sha256(file)):
                    source.place(file).unlink(missing_ok=True)
            raise
        added = lock.record(list(found.items()))
    return f"{lock.path}: recorded sha256 of {', '.join(added)}" if added else f"{lock.path}: all as recorded"


def _source(options: argparse.Namespace) -> Source:
    from ..fetching.download import Patience
    from ..fetching.obtain import Source, default_cache
    from ..fetching.transfer import Timeouts

    if options.retries < 0 or options.stall <= 0:
        raise FetchError(
            f"--retries {options.retries} --stall {options.stall:g}", fix="give 0 or more tries, more than 0 seconds"
        )
    if options.mirror and not options.mirror.startswith(("https://", "http://")):
        raise FetchError(f"--mirror {options.mirror} is no http or https URL", fix="for a folder, give --from FOLDER")
    patience = Patience(Timeouts(stall_s=options.stall), options.retries)
    return Source(options.cache or default_cache(), options.folder, options.mirror, patience)


def _request(named: NamedBundle, options: argparse.Namespace, places: dict[str, Path]) -> Request:
    from ..importing.assemble import Request

    if (options.clip is None) != (options.clip_label is None) or not (options.clip or "clip" in places):
        raise FetchError(
            "expected --clip and --clip-label, or none of them where the bundle has a clip of its own",
            fix="give --clip FILE --clip-label NAME: a video that the model knows, and its label",
        )
    label = options.clip_label or named.clip_label
    return Request(
        output=options.output,
        name=named.name,
        version=named.version,
        licence=named.licence,
        recogniser_config=named.local_config() or places["config"],
        recogniser_checkpoint=places["checkpoint"],
        labels=named.labels,
        detector=places["detector"],
        pose=places["pose"],
        clip=options.clip or places["clip"],
        clip_label=label,
        record_label=label is None,
        settings=(*named.settings, *options.set),
    )


def _description(named: NamedBundle) -> str:
    config = named.mmaction2_config or named.config_file
    lines = [f"{named.name} {named.version}: {named.summary}", f"  licence: {named.licence}"]
    if config:
        lines.append(f"  config: {config}{', of the installed MMAction2' if named.mmaction2_config else ''}")
    for role, file in named.files.items():
        length = size(file.bytes) if file.bytes else "size not known"
        lines += [f"  {role}: {file.name}, {length}", f"    {file.licence}", *(f"    {url}" for url in file.urls)]
        if file.note:
            lines.append(f"    {file.note}")
    return "\n".join(lines)
