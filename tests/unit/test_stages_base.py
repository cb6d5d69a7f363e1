"""The rows of the stages: they are the pipeline's, and say of bundles and traces what is so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from poseparity.bundle.bundle import PARAMETERS, Bundle
from poseparity.parity.traces.tolerance import tolerances
from poseparity.stages import base


def test_the_stages_of_the_pipeline_are_the_rows_in_their_order(pipeline):
    assert [stage.row for stage in pipeline.stages] == list(base.STAGES)


def test_a_stage_makes_the_values_of_its_row_in_their_order(pipeline, demo_result):
    for stage in pipeline.stages:
        assert list(stage.values(demo_result.records[stage.name])) == list(stage.row.values), stage.name


def test_every_table_of_parameters_is_that_of_a_stage_and_a_field_of_the_bundle():
    assert list(PARAMETERS) == ["input", *base.BY_TABLE]
    assert [name for name in Bundle.model_fields if name in PARAMETERS] == list(PARAMETERS)


def test_weights_are_those_that_a_bundle_has(demo_bundle):
    named = [row for row in base.STAGES if row.weights]
    assert {row.weights for row in named} == demo_bundle.weights.keys()
    assert all(row.network for row in named)


@pytest.mark.parametrize("row", base.STAGES, ids=lambda row: row.name)
def test_every_unit_has_a_tolerance(row):
    assert {value.unit for value in row.values.values()} <= tolerances().keys()


def test_the_rows_are_read_without_numpy_and_torch():
    heavy = "{'numpy', 'torch', 'cv2', 'pydantic'}"
    code = f"import sys, poseparity.stages.base; sys.exit(str(sorted({heavy} & {{*sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"
