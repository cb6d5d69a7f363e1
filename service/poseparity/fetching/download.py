"""A whole, checked file from one of several URLs, with a bounded number of tries."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import requests

from ..errors import FetchError
from .checks import Digests, digests, problem
from .named import RemoteFile
from .partial import Partial
from .progress import Progress
from .transfer import Passing, Timeouts, transfer

_LONGEST_WAIT_S = 60.0  # whatever a server asks for: somebody waits for it, and can give the command again later


@dataclass(frozen=True)
class Patience:
    """How long to go on.

    Attributes:
        retries: tries after the first one, for each URL.
        wait_s: before the first of them; doubled each time, up to a minute. A server's Retry-After may ask for more.
    """

    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: int = 5  # after 1, 2, 4, 8 and 16 seconds: half a minute, in which a server comes back from a restart
    wait_s: float = 1.0

    def pause(self, tries: int, asked_s: float | None) -> float:
        return min(max(self.wait_s * 2**tries, asked_s or 0.0), _LONGEST_WAIT_S)


@dataclass(frozen=True)
class Download:
    """A file that is wanted.

    Attributes:
        target: where it is to be.
        locked: the sha256 that it must have, None when it is fetched for the first time.
    """

    file: RemoteFile
    target: Path
    locked: str | None
    patience: Patience
    progress: Progress

    def run(self, urls: tuple[str, ...]) -> Digests:
        """Write `target`, from the first of `urls` that gives what is expected.

        Raises:
            FetchError: none of them does, each with its reason; or the disk is full. `target` is untouched then.
        """
        problems = []
        with requests.Session() as session:
            for url in urls:
                self._note(url)
                try:
                    return self._from(session, url)
                except FetchError as error:
                    if error.code == "disk-full":
                        raise
                    problems.append((url, error))
                    self._note(error)
        reasons = "; ".join(f"{url}: {error}" for url, error in problems)
        _, told = next((entry for entry in problems if entry[1].code == "changed-file"), problems[-1])
        fix = f"{told.fix}; or give --mirror URL, or --from FOLDER with {self.file.name} in it"
        raise FetchError(f"{self.file.name} cannot be fetched: {reasons}", code=told.code, fix=fix)

    def _from(self, session: requests.Session, url: str) -> Digests:
        last = self.patience.retries
        for tries in range(last + 1):
            try:
                return self._try(session, url)
            except Passing as passing:
                trouble = passing
            if tries < last:
                pause = self.patience.pause(tries, trouble.wait_s)
                self._note(f"{trouble}; try {tries + 2} of {last + 1} in {pause:g} s")
                time.sleep(pause)
        kept = Partial(self.target).resumable(url).byte
        rest = f"; {kept} bytes are kept, and the same command goes on from there" if kept else ""
        raise FetchError(f"{trouble}, after {last + 1} {'tries' if last else 'try'}{rest}", fix="try again later")

    def _try(self, session: requests.Session, url: str) -> Digests:
        partial = Partial(self.target)
        begun = partial.resumable(url)
        if begun.byte != begun.total:  # else a process was killed when all had come
            report = self.progress.of(self.file.name)
            transfer(session, self.file, url, partial, self.patience.timeouts, report)
        found = digests(partial.path)
        if error := problem(self.file, found, self.locked):
            partial.discard()
            # A server that does not say which version it has may have given two halves of different ones.
            raise Passing(f"{error}, after going on where an earlier try stopped") if begun.byte else error
        partial.complete(self.target)
        return found

    def _note(self, text: object) -> None:
        self.progress.note(f"{self.file.name}: {text}")
