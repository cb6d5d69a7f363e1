"""A bundle whose golden traces are quick to replay: the demo bundle's networks on eight small frames, and its CSV."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import requests

from poseparity.bundle.bundle import MANIFEST, Bundle, load_bundle
from poseparity.golden.record import record
from poseparity.golden.replay import compared, read_golden
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from poseparity.trace.model import Trace

CLIP, CSV = "short.mp4", "skeleton.csv"
_FRAMES = slice(40, 48)  # in the middle of the swing
_SIZE = (240, 180)
# A smaller picture for the pose network, which then misses the legs.
_CHANGES = {
    "net_height = 184": "net_height = 96",
    "max_missing_share = 0.3": "max_missing_share = 0.5",
    'clip = "clip.mp4"': f'clip = "{CLIP}"',
}


def make_short_bundle(demo: Bundle, skeleton_csv: bytes, folder: Path) -> Bundle:
    """Write the bundle, and record what its clip and the CSV give here."""
    shutil.copytree(demo.folder, folder)
    _write_short_clip(demo.folder / demo.demo.clip, folder / CLIP)
    (folder / CSV).write_bytes(skeleton_csv)
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    for old, new in _CHANGES.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    pipeline = load_pipeline(load_settings(bundle=folder))
    label = pipeline.run_video(folder / CLIP).prediction.label
    (folder / MANIFEST).write_text(text.replace(f'label = "{demo.demo.label}"', f'label = "{label}"'), encoding="utf-8")
    record(pipeline, (CLIP, CSV))
    return load_bundle(folder)


def differing_stages(bundle: Bundle, name: str, url: str, requests_at_once: int) -> list[tuple[str, ...]]:
    """Send a golden input of the bundle to a service; for each of the answers the stages that differ."""
    (entry,) = [entry for entry in bundle.golden if entry.input == name]
    golden, content = read_golden(bundle, entry), (bundle.folder / name).read_bytes()

    def ask(_: int) -> tuple[str, ...]:
        files = {"file": (name, content)}
        response = requests.post(f"{url}/v1/predictions", files=files, params={"trace": "1"}, timeout=300)
        assert response.status_code == 200, response.text
        return compared(name, golden, Trace.model_validate(response.json()["trace"])).differing

    with ThreadPoolExecutor(requests_at_once) as clients:
        return list(clients.map(ask, range(requests_at_once)))


def _write_short_clip(source: Path, target: Path) -> None:
    capture = cv2.VideoCapture(str(source))
    frames = []
    while (read := capture.read())[0]:
        frames.append(cv2.resize(read[1], _SIZE, interpolation=cv2.INTER_AREA))
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter_fourcc(*"mp4v"), 30, _SIZE)
    for frame in frames[_FRAMES]:
        writer.write(frame)
    writer.release()
