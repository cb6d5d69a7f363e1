"""A real service on a bundle that runs OpenPose's executable: it answers, or says what is not there."""

from __future__ import annotations

import pytest

from poseparity.bundle.bundle import Bundle
from poseparity.engines.openpose_binary.program import Installation, find_program
from tests.bundle_variants import variant
from tests.integration.web_server import Server, error_of
from tests.openpose_for_tests import install

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installation(demo_bundle, tmp_path_factory) -> Installation:
    weights = demo_bundle.folder / demo_bundle.weights["pose"].file
    return Installation(*install(tmp_path_factory.mktemp("openpose"), weights))


@pytest.fixture(scope="module")
def bundle(demo_bundle, installation, tmp_path_factory) -> Bundle:
    program = find_program(installation)
    pose = {"engine": "openpose-binary", "version": program.version, "executable_sha256": program.sha256,
            "model_sha256": program.model_sha256, "net_resolution": "-1x176"}  # fmt: skip
    return variant(demo_bundle, tmp_path_factory.mktemp("bundle") / "bundle", pose=pose)


def test_it_answers_with_what_the_executable_saw(bundle, installation, demo_clip, tmp_path):
    settings = {"openpose_binary": installation.executable, "openpose_models": installation.models}
    with Server(tmp_path, bundle=bundle.folder, **settings) as server:
        server.wait_ready()
        answer = server.predict("clip.mp4", demo_clip.read_bytes(), trace="1")
        assert answer.status_code == 200, answer.text
        assert answer.json()["prediction"]["label"] == bundle.demo.label
        (pose,) = [stage for stage in answer.json()["trace"]["stages"] if stage["name"] == "pose"]
        assert pose["parameters"]["executable_sha256"] == bundle.pose.executable_sha256
        assert "--net_resolution=-1x176" in pose["parameters"]["flags"]
        assert server.left_behind() == []


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"openpose_binary": None}, "the bundle runs OpenPose's executable, and POSEPARITY_OPENPOSE_BINARY is unset"),
        ({"openpose_binary": "/nowhere/openpose.bin"}, "/nowhere/openpose.bin is no file"),
        ({"openpose_binary": "/bin/true"}, "has version 'true (GNU coreutils)"),
    ],
)
def test_an_executable_that_is_not_the_bundles_is_told_at_start(changes, words, bundle, installation, tmp_path):
    settings = {"openpose_binary": installation.executable, "openpose_models": installation.models, **changes}
    settings = {name: value for name, value in settings.items() if value is not None}
    with Server(tmp_path, bundle=bundle.folder, **settings) as server:
        error = error_of(server.wait_failed(), 503, "not-ready")
        assert error["message"].startswith("the service refuses to work: ") and words in error["message"]
        assert error["details"]["cause"]["code"] == "pose-engine-failed" and error["fix"]
        assert server.get("/healthz").status_code == 200
