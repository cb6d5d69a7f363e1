"""The causes that two traces can name: whatever parameter differs is named with both values, and nothing crashes."""

from __future__ import annotations

import ast
import json
import tomllib
from string import Formatter
from typing import Any, Literal, get_args, get_origin

import pytest

from poseparity.bundle import tables
from poseparity.bundle.bundle import (
    DetectParameters,
    InterpolateParameters,
    NormaliseParameters,
    QualityParameters,
    RecogniseParameters,
    TrimParameters,
)
from poseparity.parity.traces import report as trace_report
from poseparity.parity.traces.causes import catalogue
from poseparity.parity.traces.compare import TraceComparison
from poseparity.parity.traces.page import drawings, page
from poseparity.settings import ROOT
from tests.handmade_traces import compared, stage, value

CAUSES = ROOT / "service/poseparity/parity/traces/causes"
MANIFEST = tomllib.loads((ROOT / "service/bundles/demo/bundle.toml").read_text(encoding="utf-8"))
TRANSFORMS = MANIFEST["normalise"]["transforms"]
ARGUMENTS = [(place, name) for place, each in enumerate(TRANSFORMS) for name in each if name != "type"]
PLACES = {each["type"]: place for place, each in enumerate(TRANSFORMS)}


@pytest.fixture(autouse=True)
def no_cause_lacks_what_its_words_name(monkeypatch):
    def missing(_shown, key):
        raise KeyError(key)

    monkeypatch.setattr(catalogue._Shown, "__missing__", missing)


def between(name: str, a: dict, b: dict) -> TraceComparison:
    """Two traces in which one stage had other parameters and made something else."""
    return compared([stage(name, value("v", 1.0), **a)], [stage(name, value("v", 9.0), **b)])


def assert_every_report_is_written(comparison: TraceComparison) -> None:
    assert f"  1. {comparison.causes[0].title[:40]}" in trace_report.render(comparison)
    json.dumps(comparison.to_dict(), allow_nan=False)


def of_transforms(a: list, b: list) -> list[tuple[str, str]]:
    """Code and title of each cause where two lists of transforms differ."""
    comparison = between("normalise", {"transforms": a}, {"transforms": b})
    assert_every_report_is_written(comparison)
    return [(cause.code, cause.title) for cause in comparison.causes]


def changed(place: int | str, **arguments: Any) -> list[dict]:
    """The demo bundle's transforms, one with other arguments; None: without it."""
    result = [dict(each) for each in TRANSFORMS]
    table = result[PLACES[place] if isinstance(place, str) else place]
    table |= arguments
    for name in [name for name, argument in table.items() if argument is None]:
        del table[name]
    return result


# --- transforms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "name"), ARGUMENTS)
@pytest.mark.parametrize("other", [7, None, "text", [1, 2], {"inner": {"x": 1.5}}])
def test_an_argument_of_a_transform_is_named_with_both_values(place, name, other):
    kind = TRANSFORMS[place]["type"]
    here, there = catalogue.show(TRANSFORMS[place][name]), catalogue.show(other)
    for a, b, said in (
        (TRANSFORMS, changed(place, **{name: other}), f"{here} in A and {there} in B"),
        (changed(place, **{name: other}), TRANSFORMS, f"{there} in A and {here} in B"),
    ):
        assert of_transforms(a, b) == [("transform-argument", f"the transform {kind} has another {name}: {said}")]


@pytest.mark.parametrize(("name", "other"), [("seed", 3), ("p_interval", [0.5, 1]), ("num_clips", 10)])
def test_an_argument_that_one_side_leaves_to_its_default(name, other):
    ((code, title),) = of_transforms(changed("UniformSampleFrames", **{name: None}), changed(2, **{name: other}))
    shown = catalogue.show(other)
    assert code == "transform-argument"
    assert title == f"the transform UniformSampleFrames has another {name}: absent in A and {shown} in B"


def test_two_arguments_are_two_causes():
    found = of_transforms(TRANSFORMS, changed("UniformSampleFrames", clip_len=100, num_clips=10))
    assert [title for _, title in found] == [
        "the transform UniformSampleFrames has another clip_len: 48 in A and 100 in B",
        "the transform UniformSampleFrames has another num_clips: 2 in A and 10 in B",
    ]


def test_nested_values_are_named_where_they_differ():
    a, b = changed(0, box={"size": [1, 2], "deep": {"x": 1}}), changed(0, box={"size": [1, 3], "deep": {"x": 1}})
    assert of_transforms(a, b)[0][1] == "the transform PreNormalize2D has another box.size: 1, 2 in A and 1, 3 in B"
    a, b = (changed(0, steps=[{"type": "Flip", "ratio": ratio}]) for ratio in (0, 0.5))
    assert of_transforms(a, b)[0][1] == "the transform PreNormalize2D has another steps[0].ratio: 0 in A and 0.5 in B"


@pytest.mark.parametrize("kind", PLACES)
def test_a_transform_that_one_side_lacks(kind):
    without = [each for each in TRANSFORMS if each["type"] != kind]
    code = "prenormalise-off" if kind == "PreNormalize2D" else "transform-absent"
    for a, b, side in ((TRANSFORMS, without, "B"), (without, TRANSFORMS, "A")):
        ((found, title),) = of_transforms(a, b)
        assert found == code
        assert title.startswith(f"{side} runs without") and kind in title


def test_a_transform_in_place_of_another_and_an_argument_besides():
    b = [{"type": "PreNormalize3D"}, *changed("UniformSampleFrames", clip_len=100)[1:]]
    assert dict(of_transforms(TRANSFORMS, b)) == {
        "prenormalise-off": "B runs without PreNormalize2D",
        "transform-absent": "A runs without the transform PreNormalize3D, which B runs",
        "transform-argument": "the transform UniformSampleFrames has another clip_len: 48 in A and 100 in B",
    }


def test_another_order_names_what_moved():
    b = [TRANSFORMS[1], TRANSFORMS[0], *TRANSFORMS[2:]]
    words = "PreNormalize2D, GenSkeFeat in A, GenSkeFeat, PreNormalize2D in B"
    assert of_transforms(TRANSFORMS, b) == [
        ("transforms", f"the transforms before the recogniser stand in another order: {words}")
    ]


def test_two_of_one_type_are_told_apart():
    joints, bones = ({"type": "GenSkeFeat", "feats": [each]} for each in "jb")
    assert of_transforms([joints, bones], [bones]) == [
        ("transform-absent", "B runs without the transform GenSkeFeat (number 1), which A runs")
    ]
    ((code, title),) = of_transforms([joints, bones], [bones, joints])
    assert code == "transforms" and "GenSkeFeat (number 1), GenSkeFeat (number 2) in A" in title
    assert of_transforms([joints, bones], [joints, bones | {"dataset": "coco"}])[0][1] == (
        "the transform GenSkeFeat (number 2) has another dataset: absent in A and coco in B"
    )


@pytest.mark.parametrize("other", [None, [], "PreNormalize2D", ["PreNormalize2D", 5, None], [{}], [[1]]])
def test_a_list_that_is_none_is_told_too(other):
    for a, b in ((TRANSFORMS, other), (other, TRANSFORMS)):
        assert of_transforms(a, b)


def test_values_that_look_alike_are_told_apart():
    assert catalogue.show_apart("1", 1) == ("'1'", "1")
    a, b = [*range(60)], [*range(60)]
    b[50] = -1
    shown = catalogue.show_apart(a, b)
    assert shown[0] != shown[1] and "50" in shown[0] and "-1" in shown[1]
    assert catalogue.show_apart("x" * 200, "x" * 201)[0] != catalogue.show_apart("x" * 200, "x" * 201)[1]


def test_the_page_shows_what_an_argument_was():
    comparison = between("normalise", {"transforms": TRANSFORMS}, {"transforms": changed(2, clip_len=[{"<b>": 1}])})
    html = page.render_page(comparison, drawings.Figures([]))
    assert "the transform UniformSampleFrames has another clip_len" in html and "&lt;b&gt;" in html


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_does_not_know(number):
    assert of_transforms(TRANSFORMS, changed(0, threshold=number))[0][1].endswith(f"absent in A and {number} in B")
    same = between("normalise", {"transforms": changed(0, x=number)}, {"transforms": changed(0, x=number)})
    assert [cause.code for cause in same.causes] == ["unknown"]


# --- every parameter of every table ----------------------------------------------------------------------------------


def forms_of_tables() -> list[tuple[str, type]]:
    """Each stage with its table, in each of its forms."""
    several = (("crop", tables.STRATEGIES), ("pose", tables.ENGINES))
    one = {
        "detect": DetectParameters,
        "inspect": QualityParameters,
        "interpolate": InterpolateParameters,
        "trim": TrimParameters,
        "normalise": NormaliseParameters,
        "recognise": RecogniseParameters,
    }
    return [*one.items(), *((name, form) for name, forms in several for form in forms.values())]


def of_type(annotation: Any) -> list:
    """Three values that a parameter may have."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation)) * 3
    if get_origin(annotation) in (tuple, list):
        return [["a"], ["b", "c"], []]
    simple = {bool: [True, False], int: [1, 2], float: [0.25, 0.5], str: ["x", "y"]}
    if any(get_origin(each) is tuple for each in get_args(annotation)):
        return [[1, 2], [3, 4]]
    names = [each for each in (annotation, *get_args(annotation)) if each in simple]
    tables_of_any = [{"kind": "small", "depth": {"x": [1]}}, {"kind": "coco", "depth": {"x": [2]}}]
    return simple[names[0]] if names else tables_of_any


FIELDS = [(name, form, field) for name, form in forms_of_tables() for field in form.model_fields]


@pytest.mark.parametrize(("name", "form", "field"), FIELDS)
def test_every_parameter_of_every_table_has_a_cause_and_every_report_of_it(name, form, field):
    first, second, *_ = of_type(form.model_fields[field].annotation)
    for a, b in ((first, second), (second, first), (first, None), (None, second), (first, {"odd": [None]})):
        comparison = between(name, {field: a}, {field: b})
        assert_every_report_is_written(comparison)
        if a == b:  # a literal of one value has no other
            continue
        codes = [cause.code for cause in comparison.causes]
        path = f"{'quality' if name == 'inspect' else name}.{field}"
        assert "unknown" not in codes, path
        if field not in ("method", "transforms", "model", "network", "flags", "model_sha256"):
            assert comparison.causes[0].evidence["parameter"] == path


def test_a_parameter_that_an_older_release_did_not_have_is_its_default():
    old, new = {"threshold": 0.1}, {"threshold": 0.1, "method": "motion"}
    assert [cause.code for cause in between("trim", old, new).causes] == ["unknown"]
    old = {"reference": "frame", "transforms": TRANSFORMS}
    new = NormaliseParameters(**old).model_dump(mode="json")
    assert [cause.code for cause in between("normalise", old, new).causes] == ["unknown"]
    (cause,) = between("normalise", old, new | {"precision": "float32"}).causes
    assert cause.title == "the keypoints are float16 in A and float32 in B before they are normalised"


@pytest.mark.parametrize(
    ("name", "a", "b", "code", "words"),
    [
        ("normalise", {"coordinates": "pixels"}, {"coordinates": "unit"}, "coordinate-range", "pixels in A and unit"),
        ("normalise", {"coordinates": "unit"}, {"coordinates": "signed"}, "coordinate-range", "unit in A and signed"),
        ("normalise", {"confidence": "estimated"}, {"confidence": "ones"}, "keypoint-scores", "estimated in A and on"),
        ("normalise", {"confidence": "ones"}, {"confidence": "threshold", "confidence_threshold": 0.3},
         "keypoint-scores", "ones in A and threshold in B"),
        ("normalise", {"confidence_threshold": 0.3}, {"confidence_threshold": 0.5}, "keypoint-scores", "0.3 in A and"),
        ("normalise", {"precision": "float16"}, {"precision": "float32"}, "keypoint-precision", "float16 in A and flo"),
        ("normalise", {"reference": "frame"}, {"reference": "fixed", "size": [1920, 1080]}, "img-shape", "frame in A"),
        ("normalise", {"size": [1920, 1080]}, {"size": [1280, 720]}, "reference-box", "1920, 1080 in A and 1280, 720"),
        ("normalise", {"padding": 0}, {"padding": 0.1}, "reference-box", "normalise.padding is 0 in A and 0.1 in B"),
        ("normalise", {"joints": "coco17"}, {"joints": "openpose18"}, "graph-joints", "coco17 in A and openpose18"),
        ("trim", {"method": "motion", "threshold": 0.1, "margin": 2, "min_frames": 8}, {"method": "none"},
         "trimming-off", "B does not trim static frames: it keeps all"),
        ("trim", {"method": "none"}, {"threshold": 0.1}, "trimming-off", "A does not trim static frames"),
    ],
)  # fmt: skip
def test_what_a_bundle_says_its_model_saw(name, a, b, code, words):
    everything = {"threshold": None, "margin": None, "min_frames": None} if name == "trim" else {}
    (cause,) = between(name, everything | a, everything | b).causes
    assert (cause.code, words in cause.title) == (code, True), cause.title


# --- the catalogue ---------------------------------------------------------------------------------------------------


def named_in(template: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(template) if field}


@pytest.mark.parametrize("code", catalogue.CATALOGUE)
def test_every_entry_is_built_and_formatted(code):
    words = catalogue.CATALOGUE[code]
    fields = sorted(named_in(words.title) | named_in(words.confirm))
    evidence = {field: f"<{field}>" for field in fields}
    found = catalogue.cause(code, score=0.5, stage="crop", **evidence)
    assert found.code == code and found.evidence == evidence
    assert all(f"<{field}>" in found.title + found.confirm for field in fields)
    assert "{" not in found.title + found.confirm


def test_no_entry_crashes_without_its_evidence(monkeypatch):
    monkeypatch.undo()
    for code in catalogue.CATALOGUE:
        assert catalogue.cause(code, score=0.5).title


def test_whoever_names_a_cause_gives_all_that_its_words_name():
    """Those that hand over a table of evidence are held to it where they are called in the tests."""
    calls = 0
    for path in CAUSES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "cause"):
                continue
            given = {keyword.arg for keyword in node.keywords}
            if None in given or not (node.args and isinstance(node.args[0], ast.Constant)):
                continue
            words = catalogue.CATALOGUE[node.args[0].value]
            assert named_in(words.title) | named_in(words.confirm) <= given, f"{path.name}, line {node.lineno}"
            calls += 1
    assert calls > 15
