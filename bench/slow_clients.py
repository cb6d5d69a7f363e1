"""What slow clients cost those who are not: scripts/bench slow_clients URL [--each 500] [--seconds 60].

A quiet minute, then one beside slow clients, both of the same requests to a deployed service: /healthz on new
connections, and the demo bundle's second golden input, a skeleton CSV, on one after the other. All come from one
address here, as far as the proxy sees, so deploy with `-e poseparity_client_requests=100000`: its limit of requests for
one client would refuse the measuring ones with the slow ones.
"""

from __future__ import annotations

import argparse
import http.client
import resource
import statistics
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.slow_clients import KINDS, SlowClients

CSV = Path(__file__).resolve().parents[1] / "service/bundles/demo/gaps.csv"


@dataclass
class Answers:
    """What came of one kind of request.

    Attributes:
        seconds: of each one that was answered with 200.
        failed: why each other one was not.
    """

    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def ask(self, server: tuple[str, int], method: str, path: str, body: bytes | None, headers: dict[str, str]) -> None:
        start = time.perf_counter()
        try:
            connection = http.client.HTTPConnection(*server, timeout=60)
            connection.request(method, path, body, headers)
            status = connection.getresponse().status
            connection.close()
        except OSError as error:
            self.failed.append(str(error) or type(error).__name__)
            return
        if status == 200:
            self.seconds.append(time.perf_counter() - start)
        else:
            self.failed.append(str(status))
            time.sleep(0.2)  # whoever is refused and hurries on is refused for that

    def __str__(self) -> str:
        total = len(self.seconds) + len(self.failed)
        spread = ""
        if self.seconds:
            spread = (f"; median {statistics.median(self.seconds) * 1000:.0f} ms, "
                      f"{min(self.seconds) * 1000:.0f} to {max(self.seconds) * 1000:.0f}")  # fmt: skip
        why = f"; otherwise {', '.join(sorted(set(self.failed)))}" if self.failed else ""
        return f"{len(self.seconds)} of {total} answered{spread}{why}"


def measure(server: tuple[str, int], seconds: float) -> tuple[Answers, Answers]:
    """Health checks and CSVs for that long."""
    boundary = uuid.uuid4().hex
    body = (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="gaps.csv"\r\n\r\n'.encode()
            + CSV.read_bytes() + f"\r\n--{boundary}--\r\n".encode())  # fmt: skip
    health, csv = Answers(), Answers()
    end = time.monotonic() + seconds

    def ask_health() -> None:
        while time.monotonic() < end:
            health.ask(server, "GET", "/healthz", None, {})
            time.sleep(0.1)

    thread = threading.Thread(target=ask_health)
    thread.start()
    while time.monotonic() < end:
        form = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        csv.ask(server, "POST", "/v1/predictions", body, form)
    thread.join()
    return health, csv


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench slow_clients", description=__doc__)
    parser.add_argument("url", help="of the deployed service, http://127.0.0.1:19031")
    parser.add_argument("--each", type=int, default=500, metavar="N", help=f"clients of each kind: {', '.join(KINDS)}")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    url = urlsplit(options.url)
    server = (url.hostname, url.port or 80)
    wanted = options.each * len(KINDS) + 100
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, wanted), hard), hard))

    quiet = measure(server, options.seconds)
    with SlowClients(*server, each=options.each) as slow:
        time.sleep(10)
        beside = measure(server, options.seconds)
    for name, alone, with_them in zip(("/healthz", "skeleton CSV"), quiet, beside, strict=True):
        print(f"{name}, quiet: {alone}")
        print(f"{name}, beside {options.each} of each kind: {with_them}")
    if quiet[1].seconds and beside[1].seconds:
        ratio = statistics.median(beside[1].seconds) / statistics.median(quiet[1].seconds)
        print(f"skeleton CSV: {ratio:.2f} times the quiet median")
    print(f"{slow.opened} slow connections were opened, and ended with {dict(slow.ended)}")


if __name__ == "__main__":
    main()
