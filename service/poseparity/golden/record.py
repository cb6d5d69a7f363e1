"""Write the golden traces of a bundle."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ..bundle.bundle import MANIFEST
from ..bundle.toml import dump
from ..environment.files import sha256_file
from ..errors import BundleError
from ..inputs import Input
from ..outputs import replacing
from ..pipeline import Pipeline, PipelineResult
from ..trace import recording
from ..trace.model import CODE, Trace
from ..trace.writing import write_trace

FOLDER = "golden"
_HEADER = "[[golden]]"


def record(pipeline: Pipeline, inputs: tuple[str, ...]) -> list[PipelineResult]:
    """Run each input, and write its trace into the bundle and its entry into bundle.toml.

    Args:
        pipeline: of the bundle; its own copy of bundle.toml is not read again.
        inputs: names of files in the bundle's folder. The entries of bundle.toml become these, whatever they were.

    Raises:
        BundleError, PoseParityError: see `record_traces` and `entered`.
    """
    results, entries = record_traces(pipeline, inputs)
    manifest = pipeline.bundle.folder / MANIFEST
    text = entered(manifest.read_text(encoding="utf-8"), entries)
    with replacing(manifest) as partial:
        partial.write_text(text, encoding="utf-8")
    return results


def record_traces(pipeline: Pipeline, inputs: tuple[str, ...]) -> tuple[list[PipelineResult], list[dict]]:
    """Run each input, and write its trace into the bundle.

    Returns:
        The answers, and the `[[golden]]` entries that bundle.toml should have.

    Raises:
        BundleError: an input is no file of the bundle, or two have one stem.
        PoseParityError: an input has no answer.
    """
    folder = pipeline.bundle.folder
    for name in inputs:
        if Path(name).name != name or not (folder / name).is_file():
            raise BundleError(f"{name} is no file of {folder}", fix="copy it there and give its name alone")
    if len({Path(name).stem for name in inputs}) < len(inputs):
        raise BundleError(f"of {', '.join(inputs)} two have one name before the dot", fix="rename one of them")
    (folder / FOLDER).mkdir(exist_ok=True)
    results, entries = [], []
    for name in inputs:
        path, arrays_path = (folder / FOLDER / f"{Path(name).stem}{suffix}" for suffix in (".json", ".npz"))
        given = Input.of_file(folder / name)
        result, trace = recording.record(pipeline, given, arrays=arrays_path, lasting=True)
        write_trace(path, lasting(trace))
        results.append(result)
        entries.append({"input": name, "trace": f"{FOLDER}/{path.name}", "sha256": sha256_file(path).hexdigest()})
    return results, entries


def lasting(trace: Trace) -> Trace:
    """What of a trace is the same whenever, wherever and with whatever release it is recorded.

    The sha256 of bundle.toml is left out because it would hold itself, warnings because their wording is a release's.
    """
    stages = []
    for stage in trace.stages:
        parameters = {name: value for name, value in stage.parameters.items() if name not in CODE}
        stages.append(stage.model_copy(update={"parameters": parameters, "seconds": None}))
    bundle = trace.bundle.model_copy(update={"sha256": None})
    gone = {"created": None, "poseparity": None, "environment": None, "warnings": None}
    return trace.model_copy(update={**gone, "bundle": bundle, "stages": stages})


def entered(text: str, entries: list[dict]) -> str:
    """bundle.toml's text with these entries in place of its own, and everything else as it was.

    Raises:
        BundleError: something else follows its entries.
    """
    head = text.split(f"\n{_HEADER}", 1)[0].rstrip("\n")
    result = f"{head}\n\n{dump({'golden': entries})}"
    wanted = {**tomllib.loads(text), "golden": entries}
    if tomllib.loads(result) != wanted:
        raise BundleError(
            f"something follows {_HEADER} in {MANIFEST}", fix=f"move every {_HEADER} to the end of {MANIFEST}"
        )
    return result
