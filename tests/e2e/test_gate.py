"""An image that does not compute what the local environment computes is refused, while the running service goes on.

The faults are those of bench/faults, planted in the deployed image. One verify.yml sees a fleet of servers, each of
which is given an image with another fault; one fault is offered to deploy.yml.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.faults import bundles
from bench.faults.fault import BundleFault, CodeFault, Fault, can_exist
from bench.faults.suite import FAULTS
from poseparity import skeleton_csv
from tests.conftest import DEMO_BUNDLE
from tests.e2e.client import Client
from tests.e2e.containers import live
from tests.e2e.fleet import Server, host_name, inventory, messages, report_of
from tests.e2e.planting import IMAGE_FAULTS, ImageFault, plant
from tests.e2e.playbooks import CONTAINER, OWN, URL, Run, playbook

pytestmark = [pytest.mark.docker, pytest.mark.slow]

# A replay takes twenty seconds of a core, so of each way in which a fault gets into an image one is planted: parameters
# and weights of the bundle, code, packages, variables. tests/faults plants all of them, in processes of this machine.
VERIFIED = (
    "trimming off",
    "one bit flipped in the recogniser's weights",
    "crop written through JPEG",
    "OpenCV 4.11.0.86",
    "MKL_CBWR unset",
)
DEPLOYED = ("NumPy 1.26.4",)
EVERY = "PLANT_EVERY_FAULT"
# It finds nobody in the demo clip, so there is no trace.
NO_ANSWER = "YOLO's confidence threshold 0.9 for 0.5"
# The demo clip has no gap between two seen joints, so its bits are equal; the bundle's second golden input has.
UNSEEN = "interpolation one-sided: the last value is held"

BY_NAME = {fault.name: fault for fault in FAULTS}
APART = {*VERIFIED, *DEPLOYED, NO_ANSWER, UNSEEN}
OTHERS = [name for name in BY_NAME if name not in APART] if os.environ.get(EVERY) else []
DAMAGED = BundleFault(
    "a damaged weights file", None, "", change=bundles.flipped_bit("pose", bundles.FIRST["pose"], in_manifest=False)
)
NO_FAULT = "no-fault"


@pytest.fixture(scope="module")
def servers(engine, tmp_path_factory) -> Iterator[dict[str, Server]]:
    """By fault: a server that is to get an image with it."""
    base = live(engine).image.id
    made = {}
    named = (BY_NAME[name] for name in (*VERIFIED, *DEPLOYED, *OTHERS, NO_ANSWER, UNSEEN))
    for fault in (*named, DAMAGED, *IMAGE_FAULTS):
        if can_exist(fault):
            tag = f"{CONTAINER}/{host_name(fault)}:latest"
            image = plant(engine, base, tag, fault, tmp_path_factory.mktemp("image"))
            made[fault.name] = Server(host_name(fault), {"name": tag, "id": image})
    yield made
    for each in made.values():
        engine.images.remove(each.image["name"], force=True)


@pytest.fixture(scope="module")
def fleet(engine, servers, tmp_path_factory) -> tuple[str, ...]:
    """Options of a playbook that is to see the servers, and one more whose image has no fault."""
    deployed = live(engine).image.id
    whole = Server(NO_FAULT, {"name": deployed, "id": deployed})
    folder = tmp_path_factory.mktemp("fleet")
    hosts = folder / "inventory.yml"
    hosts.write_text(inventory([whole, *(servers[name] for name in servers if name not in DEPLOYED)]), "utf-8")
    # Two at a time: some faults take more than the one core that a replay should take.
    return *OWN, "--forks", "2", "-i", str(hosts), "-e", f"verification_reports={folder / 'reports'}"


@pytest.fixture(scope="module")
def verified(fleet) -> Run:
    """One verify.yml over all servers."""
    return playbook("verify", *fleet)


@pytest.fixture(scope="module")
def skeleton(demo_result, tmp_path_factory) -> Path:
    """The demo clip's skeleton CSV: a request that is answered in well under a second."""
    path = tmp_path_factory.mktemp("client") / "skeleton.csv"
    path.write_bytes(skeleton_csv.write(demo_result.skeleton.keypoints))
    return path


@pytest.mark.parametrize("name", [*VERIFIED, *OTHERS])
def test_an_image_with_a_fault_is_refused_by_stage_and_cause(name, servers, verified):
    server = planted(name, servers)
    check(messages(verified)[server.host], BY_NAME[name], server.image, server.host)


def planted(name: str, servers: dict[str, Server]) -> Server:
    if name not in servers:
        pytest.skip(f"this processor has no {BY_NAME[name].needs}: {name!r} was NOT planted")
    return servers[name]


def check(message: list[str], fault: Fault, image: dict[str, str], host: str) -> None:
    """The message is short and names image, server, stage and cause; the report that is kept says the same."""
    text = "\n".join(message)
    assert len(message) < 10, text
    assert message[0].startswith(f"{image['name']} is refused on {host}; what runs there was not touched")
    report = report_of(message)
    assert (report["verdict"], report["host"], report["image"]) == ("refused", host, image)
    found = report["clips"][0]["comparison"]
    assert (found["first"] and found["first"]["stage"]) == fault.stage, text
    assert (found["causes"] or found["warnings"])[0]["code"] == fault.cause, text
    if not (isinstance(fault, CodeFault) and fault.both):  # there it tells of a bundle that is not the demo's
        assert all(words in text for words in fault.says), text
    if fault.stage:
        assert re.match(rf"On clip.mp4 stage {fault.stage} (diverges|differs) first", message[1]), text
    else:
        assert message[1].startswith("Every stage gave the same bits on what was replayed, but other clips can differ")
        assert message[2].startswith("Environment: "), text


@pytest.mark.parametrize(
    "name, reason, cause",
    [
        (NO_ANSWER, "no person found: the detector found nobody", "Bundle: detect.confidence is 0.9, expected 0.5"),
        (DAMAGED.name, "pose.safetensors has sha256", "Environment: bundle.files.pose.safetensors is "),
    ],
)
def test_an_image_that_cannot_run_the_clip_is_refused_with_its_reason(name, reason, cause, servers, verified):
    message = messages(verified)[servers[name].host]
    assert message[1].startswith("It cannot run clip.mp4: poseparity: ") and reason in message[1], message
    assert message[2].startswith(cause) and len(message) < 10, message
    assert report_of(message)["clips"][0]["verdict"] == "failed"


@pytest.mark.parametrize("fault", IMAGE_FAULTS, ids=lambda fault: fault.name)
def test_an_image_with_other_modules_byte_code_or_variables_is_refused(fault: ImageFault, servers, verified):
    """Each fact by itself: nothing else differs in that image."""
    server = servers[fault.name]
    message = messages(verified)[server.host]
    check(message, fault, server.image, server.host)
    rows = [re.split(r"\s{2,}", line) for line in report_of(message)["environment"]]
    found = {row[0]: row[2] for row in rows if not row[0].startswith("imports.folders.")}
    assert found.keys() == fault.facts.keys()
    assert all(found[name].startswith(value) for name, value in fault.facts.items()), found


def test_a_fault_that_the_clip_does_not_show_is_seen_in_the_second_golden_input(servers, verified):
    message = messages(verified)[servers[UNSEEN].host]
    text = "\n".join(message)
    assert re.match("On gaps.csv stage interpolate diverges first", message[1]), text
    assert "startup.lib/python3.11/site-packages/planted_fault.pth" in message[2] and len(message) < 10, text
    assert report_of(message)["clips"][0]["comparison"]["warnings"][0]["code"] == "startup"


def test_the_image_without_a_fault_passes_beside_them(verified, fleet):
    assert verified.status != 0 and verified.changed == 0, verified.output
    assert NO_FAULT not in messages(verified)
    status = playbook("status", *fleet, "--limit", NO_FAULT)
    assert "Last verification at" in status.output and ": passed, sha256:" in " ".join(status.output.split())


def test_the_status_tells_what_differed(fleet, servers, verified):
    server = servers["trimming off"]
    status = playbook("status", *fleet, "--limit", server.host)
    assert status.status == 0 and status.changed == 0, status.output
    text = " ".join(status.output.split())
    assert re.search(rf"Last verification at \S+Z: refused, {re.escape(server.image['name'])} ", text), text
    assert "On clip.mp4 stage trim diverges first" in text and "B does not trim static frames" in text


@pytest.mark.parametrize("name", DEPLOYED)
def test_a_refused_deployment_leaves_the_service_as_it_is(name, servers, container, skeleton):
    server = planted(name, servers)
    with Client(URL, skeleton) as client:
        result = playbook("deploy", *OWN, "-e", f"poseparity_app_image={server.image['name']}")
    assert result.status != 0, result.output
    check(messages(result)["localhost"], BY_NAME[name], server.image, "localhost")
    assert len(client.answers) > 5 and {status for status, _ in client.answers} == {200}, client.answers
    assert all(answer == client.answers[0] for answer in client.answers)
    before = container.attrs["State"]["StartedAt"]
    container.reload()
    assert container.attrs["State"]["StartedAt"] == before


def test_the_status_tells_what_runs_and_what_was_refused(deployment, container, servers):
    text = " ".join(playbook("status", *OWN).output.split())
    assert f"Now: image {container.image.id[:19]} runs since" in text and f"ready at {URL} with bundle demo" in text
    assert re.search(r"What runs was verified at \S+Z: passed", text)
    assert re.search(rf"Last verification at \S+Z: refused, {re.escape(servers[DEPLOYED[-1]].image['name'])} ", text)


def test_a_machine_that_does_not_compute_what_the_bundle_recorded_is_no_measure(deployment, container, tmp_path):
    bundle = bundles.copied(DEMO_BUNDLE, tmp_path / "bundle", bundles.setting("crop.padding", 0.10))
    result = playbook("deploy", *OWN, "-e", f"bundle={bundle}", "-e", f"poseparity_app_image={container.image.id}")
    assert result.status != 0, result.output
    message = messages(result)["localhost"]
    assert len(message) < 10 and message[0].startswith("This machine does not compute what the bundle recorded")
    assert message[1].startswith("On clip.mp4 stage crop diverges first")
    assert "crop.padding is 0.15 in A and 0.1 in B" in message[1]


def test_an_image_that_is_not_there_is_named(deployment):
    result = playbook("verify", *OWN, "-e", "poseparity_app_image=poseparity-e2e/absent:1")
    assert result.status != 0
    assert "poseparity-e2e/absent:1" in result.message and "poseparity_app_image" in result.message
