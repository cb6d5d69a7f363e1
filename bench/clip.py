"""scripts/bench clip: from a video to its scores, with networks of the official sizes, beside other ways to do it.

A video of 104 frames, 480x848: yolov8n at 640 on a quarter of the frames, OpenPose's COCO network on a crop of 368x208
in each, ST-GCN of 60 classes. Each way is a process with its models loaded; then they take turns.

- ours, under the pins, on all lanes and on one;
- before: the same bundle with `convolution = "direct"`, on one lane, every stage decoding the video again. That is what
  one request got before there were lanes, but for a recogniser that was slower still;
- the service that this one replaces, free of every pin, all threads: its detector, a seek for each frame, crops written
  as PNG files, the engine of bench/pose.py that is named (the fastest on this machine, by default OpenVINO) in the
  place of OpenPose, whose search for persons in the network's answer costs nothing here, and a Runner a request.

A ratio is another's time over ours on all lanes in the same round: the median over the rounds, the smallest and the
largest in brackets. Use an idle machine. A round takes five minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from bench import pose
from bench._official import CONFIDENCE, GRAPH, SIZE, pose_layers, save_detector, write_bundle, write_video
from bench._processes import CORES, Mode, Worker
from bench._report import report
from bench.recognition import runner, spread

PINNED, FREE = Mode("pinned", True, 1), Mode("free", False, CORES)
OURS, ONE_LANE, BEFORE, REPLACED = "ours, all lanes", "ours, one lane", "before, direct", "replaced service, free"
ENGINES = ("torch", "onnxruntime", "openvino", "opencv")
PADDING, SHARE = 0.15, 0.25  # of the crop, and of the frames that the detector sees
# Name of a goal: of which way it is the ratio, and at least how much.
GOALS = {"clip": (REPLACED, 1.7), "clip_before": (BEFORE, 5.5), "clip_lanes": (ONE_LANE, 1.8)}


def measure(rounds: int, frames: int, engine: str) -> dict:
    """The figures of at least one round, ready for JSON; see the module's docstring."""
    pose.install_peers()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        video, detector = folder / "clip.mp4", folder / "yolov8n.pt"
        write_video(video, frames)
        save_detector(detector)
        for convolution in ("fast", "direct"):
            write_bundle(folder / convolution, detector, convolution)
        pose.write_network(folder, pose_layers())
        ways = {
            OURS: (PINNED, ours, folder / "fast", CORES, None),
            ONE_LANE: (PINNED, ours, folder / "fast", 1, None),
            BEFORE: (PINNED, ours, folder / "direct", 1, 0),
            REPLACED: (FREE, replaced, folder, detector, engine),
        }
        workers = {way: stack.enter_context(Worker(mode, make, *given)) for way, (mode, make, *given) in ways.items()}
        for worker in workers.values():
            worker.ask(None)  # until each has loaded what it needs: the first to be measured ran beside that
        found: dict[str, list[dict]] = {way: [] for way in ways}
        for number in range(rounds):
            for position in range(len(ways)):
                way = list(ways)[(number + position) % len(ways)]
                found[way].append(workers[way].ask(video))
    return summary(found, frames, engine)


def summary(found: dict[str, list[dict]], frames: int, engine: str) -> dict:
    """Figures by way, ready for JSON.

    Raises:
        SystemExit: the ways did not answer the same question, so that their times say nothing.
    """
    ours, one_lane, replaced = (found[way][0] for way in (OURS, ONE_LANE, REPLACED))
    if ours["skeleton"] != one_lane["skeleton"]:
        raise SystemExit("the skeletons of one lane and of all differ")
    away = np.linalg.norm(np.subtract(ours["skeleton"], replaced["skeleton"])[..., :2], axis=-1)
    cell = 8 * SIZE[1] / 368  # of the heatmaps, in pixels of the frame: its joints are where one is highest
    if np.median(away) > cell:
        raise SystemExit(f"the replaced service's joints are {np.median(away):.1f} pixels away, at most {cell:.1f}")
    ways = {}
    for way, rounds in found.items():
        ratios = [each["seconds"] / ours["seconds"] for each, ours in zip(rounds, found[OURS], strict=True)]
        middle = sorted(rounds, key=lambda each: each["seconds"])[len(rounds) // 2]
        ways[way] = {
            "seconds": spread([each["seconds"] for each in rounds]),
            "over_ours": spread(ratios),
            "stages": {name: round(value, 3) for name, value in middle["stages"].items()},
        }
    ratios = {name: ways[way]["over_ours"]["median"] for name, (way, _) in GOALS.items()}
    return {"frames": frames, "cores": CORES, "engine": engine, "ways": ways, "ratios": ratios}


# --- the ways, each in its process -----------------------------------------------------------------------------------


def ours(bundle: Path, lanes: int, kept_bytes: int | None) -> Callable[[Path], dict]:
    """The service's own pipeline."""
    from poseparity.settings import load_settings
    from poseparity.startup import load_pipeline

    kept = {} if kept_bytes is None else {"kept_frame_bytes": kept_bytes}
    pipeline = load_pipeline(load_settings(bundle=bundle, lanes=lanes, **kept))

    def answer(video: Path) -> dict:
        began = time.perf_counter()
        result = pipeline.run_video(video)
        seconds = time.perf_counter() - began
        return {"seconds": seconds, "stages": result.seconds, "skeleton": result.skeleton.keypoints.tolist()}

    return _warm(answer)


def replaced(folder: Path, detector: Path, engine: str) -> Callable[[Path], dict]:
    """The way of the replaced service's public sources, with another engine."""
    import cv2
    from ultralytics import YOLO
    from ultralytics.nn.autobackend import AutoBackend

    from poseparity.keypoints import coco17_from_coco18

    AutoBackend.warmup = lambda *_, **__: None  # it imports torchvision, which is not there
    yolo, network, recognise = YOLO(detector), pose.Worker(engine, CORES, folder), runner(GRAPH)

    def crop_of(video: Path) -> tuple[int, int, int, int]:
        capture = cv2.VideoCapture(str(video))
        frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        boxes = []
        for index in np.linspace(0, frames - 1, round(frames * SHARE)).astype(int):
            capture.set(cv2.CAP_PROP_POS_FRAMES, int(index))
            (found,) = yolo.predict(capture.read()[1], imgsz=640, conf=CONFIDENCE, classes=[0], verbose=False)
            boxes.append(found.boxes.xyxy.numpy())
        boxes = np.concatenate(boxes)
        (left, top), (right, bottom) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        x, y = PADDING * (right - left), PADDING * (bottom - top)
        return tuple(int(side) for side in (max(0, left - x), max(0, top - y), right + x, bottom + y))

    def answer(video: Path) -> dict:
        times = {}
        began = time.perf_counter()
        left, top, right, bottom = crop_of(video)
        times["detect"] = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as crops:
            capture = cv2.VideoCapture(str(video))
            for index in range(int(capture.get(cv2.CAP_PROP_FRAME_COUNT))):
                capture.set(cv2.CAP_PROP_POS_FRAMES, index)
                cv2.imwrite(f"{crops}/{index:06}.png", capture.read()[1][top:bottom, left:right])
            times["files"] = time.perf_counter() - began - sum(times.values())
            parts = np.array(network.ask(f"{crops}/"))
        skeleton = coco17_from_coco18(parts)
        skeleton[skeleton.any(axis=-1), :2] += (left, top)
        times["pose"] = time.perf_counter() - began - sum(times.values())
        recognise(skeleton)
        times["recognise"] = time.perf_counter() - began - sum(times.values())
        return {"seconds": sum(times.values()), "stages": times, "skeleton": skeleton.tolist()}

    return _warm(answer)


def _warm(answer: Callable[[Path], dict]) -> Callable[[Path | None], dict | None]:
    """After the first answer, to a video of a few frames: what is loaded late is loaded. No video gets no answer."""
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "short.mp4"
        write_video(video, 8)
        answer(video)
    return lambda video: None if video is None else answer(video)


# --- what is shown ---------------------------------------------------------------------------------------------------


def table(figures: dict) -> str:
    """The figures as text."""
    lines = [f"{figures['frames']} frames, {figures['cores']} cores; the replaced service with {figures['engine']}"]
    for way, facts in figures["ways"].items():
        seconds, ratio = facts["seconds"], facts["over_ours"]
        taken = f"{seconds['median']:.1f} s [{seconds['min']:.1f}, {seconds['max']:.1f}]"
        lines.append(f"{way:<24}{taken:<26}{ratio['median']:>6.2f} [{ratio['min']:.2f}, {ratio['max']:.2f}]")
        lines.append("    " + ", ".join(f"{name} {value:.2f}" for name, value in facts["stages"].items()))
    return "\n".join(lines)


def missed_goals(figures: dict) -> list[str]:
    """One line for each goal that was missed."""
    return [
        f"{name}: {figures['ratios'][name]:.2f} times as fast as {way}, expected at least {least}"
        for name, (way, least) in GOALS.items()
        if figures["ratios"][name] < least
    ]


def main() -> int:
    """Command line; see the module's docstring. Exits with 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=104)
    parser.add_argument("--engine", choices=ENGINES, default="openvino")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    figures = measure(options.rounds, options.frames, options.engine)
    return report(table(figures), figures, options.json, missed_goals(figures))


if __name__ == "__main__":
    sys.exit(main())
