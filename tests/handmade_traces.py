"""Traces that are made by hand: a stage or two, with values as a test wants them."""

from __future__ import annotations

import base64
import json

import numpy as np

from poseparity.parity.traces import compare as traces
from poseparity.trace import digests, model
from poseparity.trace.reading import TraceFile, parse_trace

SHA = "0" * 64


def value(name: str, array, *, unit: str = "pixels", by_frame: bool = False, data: bool = True) -> dict:
    """A result of a stage; without `data` only its digests are known."""
    array = digests.little_endian(np.asarray(array))
    return {
        "name": name,
        "kind": "result",
        "unit": unit,
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "sha256": digests.digest(array).hex(),
        "frames": [digests.digest(item).hex()[: digests.SHORT] for item in array] if by_frame else None,
        "data": base64.b64encode(array.tobytes()).decode() if data else None,
    }


def stage(name: str, *values: dict, **parameters) -> dict:
    """A stage with its values, and its parameters by name."""
    return {"name": name, "parameters": parameters, "seconds": 0.1, "digest": SHA, "values": list(values)}


def document(*stages: dict, **changes) -> dict:
    """A trace's JSON; `changes` replace what stands at its top."""
    return {
        "format": model.FORMAT,
        "created": None,
        "poseparity": "0.1.0",
        "bundle": {"name": "demo", "version": "1", "sha256": SHA},
        "input": {"name": "clip.mp4", "kind": "video", "bytes": 5, "sha256": SHA},
        "environment": None,
        "prediction": {
            "index": 0,
            "label": "a",
            "scores": [{"label": "a", "score": 0.75}, {"label": "b", "score": 0.25}],
        },
        "stages": list(stages),
        "arrays": None,
        **changes,
    }


def side(*stages: dict, name: str = "trace.json", **changes) -> TraceFile:
    """A trace as it is loaded."""
    return TraceFile(name, parse_trace(json.dumps(document(*stages, **changes)).encode(), name))


def compared(a: list[dict], b: list[dict], **changes) -> traces.TraceComparison:
    """Two traces compared; `changes` are those at the top of B."""
    return traces.compare_traces(side(*a, name="a.json"), side(*b, name="b.json", **changes))
