"""scripts/bench service: what the HTTP service makes of its lanes. [--rounds 3] [--json FILE] [--bundle DIR]

Starts the service as the image does, with one lane and with one for each core, and asks it in turn, round by round, so
that what else the machine does falls on all alike:

- HTTP against the same pipeline in this process, one request at a time: the skeleton CSV, and the clip; the CSV also
  with a recogniser of official size (random weights), because the demo bundle's answers in a tenth of the time;
- a skeleton CSV alone, and while two videos are computed;
- 1, 2, 4 and 32 clients, each of which sends three skeleton CSVs for each clip: requests a second, and their share of
  what as many single lanes with one client each would answer.

A figure is the median over the rounds, its smallest and its largest behind it. Use an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from requests import Response

from bench._official import write_recogniser_bundle
from poseparity.environment.machine import describe_cpu
from poseparity.inputs import Input
from poseparity.pipeline import Pipeline
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from tests.integration.web_server import Server
from training.manifest import BUNDLE

CORES = len(os.sched_getaffinity(0))
CLIENTS = (1, 2, 4, 32)
_CSVS = 3  # for each clip, as people who look at a skeleton again and again send them
_REQUESTS = 32  # of each measurement of throughput: as many as the most clients send at once
_REPEATED = 5  # CSVs of each round, whose single times are short


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench service", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--clip", type=Path, help="a video; the bundle's own by default")
    parser.add_argument("--csv", type=Path, default=BUNDLE / "gaps.csv", help="a skeleton CSV")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there, too")
    options = parser.parse_args()
    figures = measure(options)
    print(f"{describe_cpu()['model']}, {CORES} cores, load before {figures['load_before']:.2f}")
    for name, values in figures["rounds"].items():
        print(f"{name:<56} {_spread(values)}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure(options: argparse.Namespace) -> dict:
    """{"rounds": {what: its figure in each round}, "ratios": {what: median}, "load_before"}."""
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        settings = {"bundle": options.bundle, "queue_limit": 64}
        one, all_lanes = (
            servers.enter_context(Server(_made(Path(folder) / name), lanes=lanes, **settings))
            for name, lanes in (("one", 1), ("all", CORES))
        )
        pipeline = load_pipeline(load_settings(bundle=options.bundle))
        pipeline.warm_up()
        large = write_recogniser_bundle(Path(folder) / "large").folder
        of_large = servers.enter_context(Server(_made(Path(folder) / "server"), bundle=large))
        large_pipeline = load_pipeline(load_settings(bundle=large))
        large_pipeline.warm_up()
        for server in (one, all_lanes, of_large):
            server.wait_ready()
        rounds = [
            _round(one, all_lanes, pipeline, options) | _of_large(of_large, large_pipeline, options.csv)
            for _ in range(options.rounds)
        ]
    by_name = {name: [each[name] for each in rounds] for name in rounds[0]}
    ratios = {name: statistics.median(values) for name, values in by_name.items() if " / " in name}
    return {"rounds": by_name, "ratios": ratios, "load_before": load_before}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _round(one: Server, all_lanes: Server, pipeline: Pipeline, options: argparse.Namespace) -> dict[str, float]:
    sent = {path.name: path.read_bytes() for path in (options.clip or options.bundle / "clip.mp4", options.csv)}
    clip, csv = sent

    def ask(server: Server, name: str) -> None:
        _answered(server.predict(name, sent[name]))

    figures = {}
    for kind, path, name in (("csv", options.csv, csv), ("video", options.clip or options.bundle / "clip.mp4", clip)):
        given = Input(path, kind)
        http, here = _http_and_here(lambda name=name: ask(all_lanes, name), pipeline, given)
        figures[f"{kind}, HTTP / in this process"] = http / here
        figures[f"{kind}, seconds over HTTP"] = http
    figures["video, one lane / all"] = _seconds(lambda: ask(one, clip)) / figures["video, seconds over HTTP"]
    figures["csv, beside two videos / alone"] = (
        _beside_videos(lambda: ask(all_lanes, clip), lambda: ask(all_lanes, csv)) / figures["csv, seconds over HTTP"]
    )
    alone = _rate(lambda name: ask(one, name), 1, clip, csv)
    for clients in CLIENTS:
        rate = _rate(lambda name: ask(all_lanes, name), clients, clip, csv)
        figures[f"{clients} clients, requests a second"] = rate
        figures[f"{clients} clients / {CORES} lanes with one each"] = rate / (CORES * alone)
    return figures


def _of_large(server: Server, pipeline: Pipeline, csv: Path) -> dict[str, float]:
    content = csv.read_bytes()
    http, here = _http_and_here(lambda: _answered(server.predict(csv.name, content)), pipeline, Input(csv, "csv"))
    return {"csv, recogniser of official size, HTTP / in this process": http / here}


def _http_and_here(ask: Callable[[], None], pipeline: Pipeline, given: Input) -> tuple[float, float]:
    """The median seconds over HTTP and in this process, by turns."""
    http, here = [], []
    for _ in range(_REPEATED if given.kind == "csv" else 1):
        http.append(_seconds(ask))
        here.append(_seconds(lambda: pipeline.run(given).to_dict()))
    return statistics.median(http), statistics.median(here)


def _answered(response: Response) -> None:
    assert response.status_code == 200, response.text


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _beside_videos(ask_video: Callable[[], None], ask_csv: Callable[[], None]) -> float:
    """The median seconds of CSVs while two videos are computed all the time."""
    done, seconds = threading.Event(), []

    def videos() -> None:
        while not done.is_set():
            ask_video()

    with ThreadPoolExecutor(2) as clients:
        running = [clients.submit(videos) for _ in range(2)]
        time.sleep(1)  # until both have frames in the lanes
        for _ in range(_REPEATED):
            seconds.append(_seconds(ask_csv))
        done.set()
        for each in running:
            each.result()
    return statistics.median(seconds)


def _rate(ask: Callable[[str], None], clients: int, clip: str, csv: str) -> float:
    """Requests a second of so many clients together."""
    names = [csv if number % (_CSVS + 1) else clip for number in range(_REQUESTS)]
    with ThreadPoolExecutor(clients) as pool:
        return len(names) / _seconds(lambda: list(pool.map(ask, names)))


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):8.3f}   ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
