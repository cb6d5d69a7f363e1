"""A real service with an imported bundle: its scores over HTTP are MMAction2's own on that checkpoint, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from poseparity.records import Size
from tests.integration.web_server import Server
from tests.mmaction2_bundles import MODELS, scores_of_mmaction2

pytestmark = pytest.mark.slow

FRAME = Size(1920, 1080)


@pytest.fixture(scope="module", params=MODELS)
def served(request, imported_bundle, tmp_path_factory):
    """The running service and the training run that its bundle came from."""
    imported = imported_bundle(request.param)
    with Server(tmp_path_factory.mktemp("service"), bundle=imported.folder) as server:
        server.wait_ready()
        yield server, imported.run


@pytest.fixture(scope="module")
def golf(real_data, pipeline) -> tuple[bytes, object]:
    """The real golf swing's CSV, and its skeleton after interpolation and trimming."""
    content = (real_data / "golf/skeleton2d.csv").read_bytes()
    return content, pipeline.run_csv(content, frame_size=FRAME).kept


def scores_over_http(server: Server, name: str, content: bytes, **fields: str) -> np.ndarray:
    """JSON's decimal numbers name each float32 exactly."""
    response = server.predict(name, content, **fields)
    assert response.status_code == 200, response.text
    scores = np.array([entry["score"] for entry in response.json()["prediction"]["scores"]])
    assert (scores.astype(np.float32) == scores).all(), "a score is no float32"
    return scores.astype(np.float32)


def test_a_video_gets_mmaction2_s_scores(served, demo_clip, demo_result):
    server, run = served
    found = scores_over_http(server, "clip.mp4", demo_clip.read_bytes())
    assert found.tobytes() == scores_of_mmaction2(run, demo_result.kept).tobytes()


def test_the_golf_csv_gets_mmaction2_s_scores(served, golf):
    server, run = served
    content, kept = golf
    found = scores_over_http(server, "golf.csv", content, frame_size=f"{FRAME.width}x{FRAME.height}")
    assert found.tobytes() == scores_of_mmaction2(run, kept).tobytes()
