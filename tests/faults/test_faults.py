"""Every fault is named rightly, stage and cause; and where nothing is broken, nothing is named."""

from __future__ import annotations

import pytest

from bench.faults import bundles
from bench.faults.fault import can_exist
from bench.faults.suite import FAULTS
from poseparity.bundle.bundle import load_bundle
from poseparity.errors import BundleError
from poseparity.parity.traces.compare import compare_traces
from poseparity.settings import load_settings

CSV_RUNS, VIDEO_RUNS = 90, 10

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_named(fault, suite, outcomes):
    if not can_exist(fault):
        pytest.skip(f"this processor has no {fault.needs}: {fault.name!r} was NOT planted")
    outcome = suite.examine(fault)
    outcomes.append(outcome)
    assert outcome.problems == []


@pytest.mark.parametrize("weights", bundles.FIRST)
def test_a_flipped_bit_that_the_manifest_does_not_name_is_refused(weights, tmp_path):
    """Before any model runs, so there is nothing to compare."""
    flip = bundles.flipped_bit(weights, bundles.FIRST[weights], in_manifest=False)
    damaged = bundles.copied(load_settings().bundle, tmp_path / "bundle", flip)
    with pytest.raises(BundleError, match=rf"{weights}\.safetensors has sha256 .* its content changed"):
        load_bundle(damaged)


def test_runs_without_a_fault_are_identical(suite, counts):
    """To a run of the command line in another process: the video, and from the skeleton CSV on."""
    csv = suite.csv_of_local()
    from_csv = suite.trace_of_csv(suite.pipeline, csv)
    traces = [(suite.local, lambda: suite.trace(suite.pipeline))] * VIDEO_RUNS
    traces += [(from_csv, lambda: suite.trace_of_csv(suite.pipeline, csv))] * CSV_RUNS
    comparisons = [compare_traces(local, again()) for local, again in traces]
    same = [each for each in comparisons if each.verdict == "identical" and not each.causes and not each.warnings]
    counts.append(
        f"no fault: {len(same)} of {len(comparisons)} runs identical ({VIDEO_RUNS} of the video, {CSV_RUNS} of its CSV)"
    )
    assert len(same) == len(comparisons)


def test_every_fault_has_its_own_name():
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names))
