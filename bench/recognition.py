"""scripts/bench recognition: from a skeleton to its scores, against MMAction2's own ways, on the same model.

A model of official size with random weights (or a narrow one, which tells only that every way answers) answers
skeletons of 57, 100 and 104 frames: UniformSampleFrames takes ten clips of 100, of which all differ, or all are equal.
Each way runs in a process of its own, loads its model and answers each skeleton once unmeasured; then they take turns,
one skeleton each a round.

- ours, under the pins, on all lanes and on one;
- MMAction2's `inference_skeleton` under the same pins, whose scores have to be ours bit for bit;
- the same free, as a program runs that pins nothing: every instruction set, one thread a core;
- free, and a `Runner` built for each request, as a service may do that follows MMAction2's tools/test.py.

A ratio is another's time over ours of the same round, ours on all lanes where nothing else is said: the median over the
rounds, and the smallest and the largest in brackets. Use an idle machine: threads that wait for each other lose far
more to other programs than lanes do.
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from bench._processes import CORES, Mode, Worker
from bench._report import report

FRAMES = (57, 100, 104)
FRAME = (1280, 720)  # width, height
PINNED, FREE = Mode("pinned", True, 1), Mode("free", False, CORES)
OURS, ONE_LANE = "ours, all lanes", "ours, one lane"
MMACTION2, FREE_MMACTION2, RUNNER = "MMAction2 pinned", "MMAction2 free", "Runner a request, free"
GRAPHS = {
    "stgcn": {"graph_cfg": {"layout": "coco", "mode": "stgcn_spatial"}},
    "stgcnpp": {
        "graph_cfg": {"layout": "coco", "mode": "spatial"},
        "gcn_adaptive": "init", "gcn_with_res": True, "tcn_type": "mstcn",
    },
    "narrow": {"graph_cfg": {"layout": "coco", "mode": "stgcn_spatial"}, "base_channels": 16},
}  # fmt: skip
# Name of a goal: of what it is a ratio, of how many frames, and at least how much.
GOALS = {
    "recognise_57": (FREE_MMACTION2, 57, 1.3),
    "recognise_57_pinned": (MMACTION2, 57, 2),
    "recognise_104_pinned": (MMACTION2, 104, 2),
    "recognise_equal_clips_pinned": (MMACTION2, 100, 8),
}


def measure(graph: str, rounds: int) -> dict:
    """The figures of at least one round, ready for JSON: {"frames", "ratios", ...}; see the module's docstring."""
    ways = {
        OURS: (PINNED, _ours, CORES),
        ONE_LANE: (PINNED, _ours, 1),
        MMACTION2: (PINNED, _inference_skeleton),
        FREE_MMACTION2: (FREE, _inference_skeleton),
        RUNNER: (FREE, runner),
    }
    seconds = {frames: {way: [] for way in ways} for frames in FRAMES}
    scores = {frames: {} for frames in FRAMES}
    with ExitStack() as stack:
        workers = {
            way: stack.enter_context(Worker(mode, make, graph, *more)) for way, (mode, make, *more) in ways.items()
        }
        for number in range(-1, rounds):
            for frames in FRAMES:
                # Who begins changes from round to round.
                for way in (*list(ways)[number % len(ways) :], *list(ways)[: number % len(ways)]):
                    taken, scores[frames][way] = workers[way].ask(_skeleton(frames))
                    if number >= 0:
                        seconds[frames][way].append(taken)
    figures = {frames: _figures(seconds[frames], scores[frames]) for frames in FRAMES}
    ratios = {name: figures[frames]["ways"][way]["over_ours"]["median"] for name, (way, frames, _) in GOALS.items()}
    return {"model": graph, "cores": CORES, "rounds": rounds, "frames": figures, "ratios": ratios}


def _figures(seconds: dict[str, list[float]], scores: dict[str, np.ndarray]) -> dict:
    ways = {}
    for way, taken in seconds.items():
        ratios = [theirs / ours for theirs, ours in zip(taken, seconds[OURS], strict=True)]
        ways[way] = {"seconds": spread(taken), "over_ours": spread(ratios),
                     "largest_score_difference": float(np.abs(scores[way] - scores[OURS]).max())}  # fmt: skip
    return {"ways": ways, "equal_bits": scores[OURS].tobytes() == scores[MMACTION2].tobytes()}


def spread(values: list[float]) -> dict[str, float]:
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, 4) for name, value in found.items()}


def _skeleton(frames: int) -> np.ndarray:
    """A walk of COCO's 17 joints, float64 (frames, 17, 3), pixels and confidences."""
    chance = np.random.default_rng(frames)
    positions = chance.uniform((300, 200), (900, 600), (17, 2)) + chance.normal(0, 4, (frames, 17, 2)).cumsum(axis=0)
    return np.concatenate([positions, chance.uniform(0.3, 1, (frames, 17, 1))], axis=-1)


# --- the ways, each in its process -----------------------------------------------------------------------------------


def model_table(graph: str) -> dict:
    backbone = {"type": "STGCN", "base_channels": 64, **GRAPHS[graph]}
    head = {"type": "GCNHead", "num_classes": 60, "in_channels": 4 * backbone["base_channels"]}
    return {"type": "RecognizerGCN", "backbone": backbone, "cls_head": head}


def model_of(graph: str):
    import torch

    from poseparity.stages.recognise import build_model

    torch.manual_seed(0)
    return build_model(model_table(graph)).eval()


def transforms() -> list[dict]:
    return [
        {"type": "PreNormalize2D"},
        {"type": "GenSkeFeat", "dataset": "coco", "feats": ["j"]},
        {"type": "UniformSampleFrames", "clip_len": 100, "num_clips": 10, "test_mode": True},
        {"type": "PoseDecode"},
        {"type": "FormatGCNInput", "num_person": 2},
        {"type": "PackActionInputs"},
    ]


def _annotation(keypoints: np.ndarray) -> dict:
    from poseparity.records import Skeleton
    from poseparity.stages.normalise import annotation

    return annotation(Skeleton(keypoints), (0, 0, *FRAME))


def _timed(answer: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Seconds and scores of a skeleton."""

    def timed(keypoints: np.ndarray) -> tuple[float, np.ndarray]:
        began = time.perf_counter()
        scores = answer(keypoints)
        return time.perf_counter() - began, scores

    return timed


def _ours(graph: str, lanes: int) -> Callable:
    from mmengine.dataset import Compose

    from poseparity import numerics
    from poseparity.compute.lanes import Lanes
    from poseparity.stages.stgcn import Inference

    numerics.make_deterministic()
    inference = Inference(model_of(graph), Lanes(lanes, prepare=numerics.limit_threads))
    compose = Compose(transforms())

    def answer(keypoints: np.ndarray) -> np.ndarray:
        sample = compose(_annotation(keypoints))
        _logits, scores = inference(sample["inputs"].numpy(), sample["data_samples"])
        return scores

    return _timed(answer)


def _inference_skeleton(graph: str) -> Callable:
    model = model_of(graph)
    from mmaction.apis import inference_skeleton
    from mmengine.dataset import Compose

    compose = Compose(transforms())

    def answer(keypoints: np.ndarray) -> np.ndarray:
        poses = [{"keypoints": each[None, :, :2], "keypoint_scores": each[None, :, 2]} for each in keypoints]
        return inference_skeleton(model, poses, FRAME[::-1], compose).pred_score.numpy()

    return _timed(answer)


def runner(graph: str) -> Callable:
    """The skeleton is written as a data set of one, tested by a Runner, and its scores read from the file it dumps."""
    import torch
    from mmengine.config import Config
    from mmengine.runner import Runner

    folder = tempfile.TemporaryDirectory()  # `answer` holds it until the process ends
    weights = Path(folder.name) / "model.pth"
    torch.save({"state_dict": model_of(graph).state_dict()}, weights)

    def answer(keypoints: np.ndarray) -> np.ndarray:
        with tempfile.TemporaryDirectory(dir=folder.name) as work:
            annotations, dumped = Path(work) / "annotations.pkl", Path(work) / "scores.pkl"
            annotations.write_bytes(pickle.dumps([{"frame_dir": "clip", **_annotation(keypoints), "label": 0}]))
            dataset = {
                "type": "PoseDataset",
                "ann_file": str(annotations),
                "pipeline": transforms(),
                "test_mode": True,
            }
            sampler = {"type": "DefaultSampler", "shuffle": False}
            loader = {"batch_size": 1, "num_workers": 0, "sampler": sampler, "dataset": dataset}
            config = {
                "default_scope": "mmaction", "model": model_table(graph), "load_from": str(weights),
                "test_dataloader": loader, "test_cfg": {"type": "TestLoop"},
                "test_evaluator": [{"type": "DumpResults", "out_file_path": str(dumped)}],
                "work_dir": work, "experiment_name": Path(work).name, "log_level": "ERROR",
            }  # fmt: skip
            Runner.from_cfg(Config(config)).test()
            (result,) = pickle.loads(dumped.read_bytes())
        return result["pred_score"].numpy()

    return _timed(answer)


# --- what is shown ---------------------------------------------------------------------------------------------------


def table(figures: dict) -> str:
    """The figures as text."""
    lines = [f"{figures['model']}, {figures['cores']} cores, {figures['rounds']} rounds"]
    for frames, found in figures["frames"].items():
        bits = "equal bits" if found["equal_bits"] else "OTHER BITS"
        lines += ["", f"{frames} frames; ours and MMAction2 pinned: {bits}"]
        lines += [_row(way, facts) for way, facts in found["ways"].items()]
    lines += ["", "ratio: its time over ours on all lanes, median of the rounds [smallest, largest]"]
    return "\n".join(lines)


def _row(way: str, facts: dict) -> str:
    seconds, ratio = facts["seconds"], facts["over_ours"]
    taken = f"{1000 * seconds['median']:.1f} ms [{1000 * seconds['min']:.1f}, {1000 * seconds['max']:.1f}]"
    return f"{way:<24}{taken:<30}{ratio['median']:>6.2f} [{ratio['min']:.2f}, {ratio['max']:.2f}]"


def missed_goals(figures: dict) -> list[str]:
    """One line for each goal that was missed."""
    missed = [
        f"{name}: {figures['ratios'][name]:.2f} times as fast as {way} for {frames} frames, expected at least {least}"
        for name, (way, frames, least) in GOALS.items()
        if figures["ratios"][name] < least
    ]
    other = [frames for frames, found in figures["frames"].items() if not found["equal_bits"]]
    return [*missed, *(f"other bits than MMAction2's for {frames} frames" for frames in other)]


def main() -> int:
    """Command line; see the module's docstring. Exits with 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(GRAPHS), default="stgcn")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}, expected at least 1")
    figures = measure(options.model, options.rounds)
    return report(table(figures), figures, options.json, missed_goals(figures))


if __name__ == "__main__":
    sys.exit(main())
