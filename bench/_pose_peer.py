"""One way to compute OpenPose's network, in a process of its own, for bench/pose.py and bench/clip.py.

    python _pose_peer.py WAY THREADS FOLDER

FOLDER holds weights.npz, program.json (both by `pose.write_network`) and pictures as NAME.npy. The first line on
standard output is the version; then each line on standard input, a picture's name, is answered by JSON: seconds of wall
and of CPU time a frame, and, the first time, the answer goes to NAME.WAY.npy. THREADS frames are computed for each.

A name that ends in / is a folder of PNG files, each a frame's crop: its answer is JSON, too, for each frame the
highest point of each part's heatmap, [x, y, its height], in pixels of the crop, [0, 0, 0] where that is under 0.05.
It imports nothing of the project but where WAY is the project's own: peers have a Python of their own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Answer = Callable[[list[np.ndarray]], list[np.ndarray]]  # pictures (1, 3, H, W) to outputs (57, H / 8, W / 8)
PARTS = 18
NET_HEIGHT = 368


def ours(convolution: str, threads: int, folder: Path) -> tuple[str, Answer]:
    """Frames side by side, one thread each, as lanes compute them."""
    from concurrent.futures import ThreadPoolExecutor

    network, torch = _network(convolution, folder)
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(threads)

    def frame(picture: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(picture))[0].numpy()

    return torch.__version__, lambda pictures: list(pool.map(frame, pictures))


def torch_itself(threads: int, folder: Path) -> tuple[str, Answer]:
    """The same network, and torch's own choice of instructions and threads."""
    network, torch = _network("direct", folder)
    torch.set_num_threads(threads)

    def answer(pictures: list[np.ndarray]) -> list[np.ndarray]:
        with torch.inference_mode():
            return [network(torch.from_numpy(picture))[0].numpy() for picture in pictures]

    return torch.__version__, answer


def _network(convolution: str, folder: Path) -> tuple[Callable, object]:
    import torch

    from poseparity.engines.openpose.convolution import use_nnpack
    from poseparity.engines.openpose.network import build_network

    network = build_network({"kind": "coco", "convolution": convolution}).eval()
    state = np.load(folder / "weights.npz")
    network.load_state_dict({name: torch.from_numpy(state[name]) for name in state.files})
    if convolution == "fast":
        use_nnpack(network)
    return network, torch


def onnxruntime(threads: int, folder: Path) -> tuple[str, Answer]:
    import onnxruntime as library

    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    session = library.InferenceSession(_onnx(folder), options, providers=["CPUExecutionProvider"])
    return library.__version__, lambda pictures: [session.run(None, {"x": picture})[0][0] for picture in pictures]


def openvino(threads: int, folder: Path) -> tuple[str, Answer]:
    import openvino as library

    # float32, because some CPUs would choose bfloat16, which is another answer.
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    core = library.Core()
    model = core.compile_model(core.read_model(_onnx(folder)), "CPU", options)
    return library.__version__, lambda pictures: [model(picture)[0][0].copy() for picture in pictures]


def opencv(threads: int, folder: Path) -> tuple[str, Answer]:
    import cv2

    cv2.setNumThreads(threads)
    network = cv2.dnn.readNetFromONNX(np.frombuffer(_onnx(folder), np.uint8))

    def answer(pictures: list[np.ndarray]) -> list[np.ndarray]:
        answers = []
        for picture in pictures:
            network.setInput(picture)
            answers.append(network.forward()[0].copy())
        return answers

    return cv2.__version__, answer


def _onnx(folder: Path) -> bytes:
    """The network as an ONNX file, from its weights and its program."""
    from onnx import TensorProto, helper, numpy_helper

    state = np.load(folder / "weights.npz")
    nodes, stored = [], []
    for kind, inputs, output, *kernel in json.loads((folder / "program.json").read_text(encoding="utf-8")):
        if kind == "Conv":
            parameters = [f"layers.{output}.{each}" for each in ("weight", "bias")]
            stored += [numpy_helper.from_array(state[name], name) for name in parameters]
            inputs, options = [*inputs, *parameters], {"pads": [kernel[0] // 2] * 4, "kernel_shape": kernel * 2}
        else:
            options = {"Concat": {"axis": 1}, "MaxPool": {"kernel_shape": [2, 2], "strides": [2, 2]}}.get(kind, {})
        nodes.append(helper.make_node(kind, inputs, [output], **options))
    shapes = {"x": [1, 3, "height", "width"], output: [1, 57, "rows", "columns"]}
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())
    graph = helper.make_graph(nodes, "openpose", [x], [y], stored)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()


WAYS = {
    "fast": lambda threads, folder: ours("fast", threads, folder),
    "direct": lambda threads, folder: ours("direct", threads, folder),
    "torch": torch_itself,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "opencv": opencv,
}


def points(path: Path, answer: Answer) -> list[list[float]]:
    """Where each part's heatmap is highest; what OpenPose does beyond that costs nothing here."""
    import cv2

    crop = cv2.imread(str(path))
    height, width = crop.shape[:2]
    wide = max(16, round(NET_HEIGHT * width / height / 16) * 16)
    scaled = cv2.resize(crop, (wide, NET_HEIGHT), interpolation=cv2.INTER_CUBIC)
    (output,) = answer([np.ascontiguousarray(scaled.transpose(2, 0, 1)[None] / np.float32(256) - np.float32(0.5))])
    found = []
    for heatmap in output[:PARTS]:
        row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
        score = float(heatmap[row, column])
        x, y = (8 * column + 3.5) * width / wide, (8 * row + 3.5) * height / NET_HEIGHT
        found.append([float(x), float(y), score] if score > 0.05 else [0, 0, 0])
    return found


def main(way: str, threads: int, folder: Path) -> None:
    """Answer until standard input ends."""
    version, answer = WAYS[way](threads, folder)
    print(version, flush=True)
    for line in sys.stdin:
        name = line.strip()
        if name.endswith("/"):
            print(json.dumps([points(path, answer) for path in sorted(Path(name).glob("*.png"))]), flush=True)
            continue
        picture, kept = np.load(folder / f"{name}.npy"), folder / f"{name}.{way}.npy"
        began = time.perf_counter(), time.process_time()
        (first, *_) = answer([picture] * threads)
        ended = time.perf_counter(), time.process_time()
        if not kept.exists():
            np.save(kept, first)
        wall, cpu = ((after - before) / threads for before, after in zip(began, ended, strict=True))
        print(json.dumps({"wall": wall, "cpu": cpu}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
