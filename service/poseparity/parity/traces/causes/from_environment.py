"""Causes that the two environment snapshots tell, each with what it can do to the stage that differs first."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ....environment.compare import compare_snapshots
from ....environment.files import VerifyError
from ....environment.policy import load_policy
from ....environment.snapshot import check_snapshot
from ....errors import TraceError
from ....settings import ROOT
from ....stages.base import BY_NAME
from ....trace.reading import TraceFile
from ...result import Cause
from . import certainty
from .catalogue import cause, show

POLICY = ROOT / "lockfiles/parity.toml"
_LISTED = 6  # facts, and operations, that a cause shows of each; it says how many there are


@dataclass(frozen=True)
class Group:
    """Facts of a snapshot that have one cause.

    Attributes:
        patterns: of the facts' paths; the first group with a pattern that matches takes a fact.
        libraries: whose results it changes; "" for all.
        weight: how sure it is, 0 to 1, where the first stage that differs uses such a library.
    """

    code: str
    patterns: tuple[str, ...]
    libraries: tuple[str, ...]
    weight: float


_INSTRUCTIONS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES",
                 "OPENCV_CPU_DISABLE")  # fmt: skip
_ALL = ("cv2", "numpy", "torch", "mmaction2", "ultralytics")
GROUPS = (
    # What runs in the place of what was installed puts all else in doubt.
    Group("shadowed-module", ("imports.shadowed.*",), (), 0.86),
    Group("byte-code", ("imports.bytecode.*",), (), 0.86),
    Group("foreign-code", ("imports.unrecorded.*", "imports.standard_library.*", "libraries.*"), (), 0.84),
    Group("search-path", ("imports.path", "imports.folders.*"), (), 0.5),
    Group("variables", ("variables.*", "interpreter.optimize"), (), 0.79),
    # Files that were overwritten before versions, which say nothing then.
    Group("cv2-providers", ("cv2_providers.*", "packages.opencv-contrib-python*", "packages.opencv-python-headless*",
                            "modules.cv2.package"), ("cv2",), 0.85),
    Group("opencv", ("packages.opencv-*", "modules.cv2.version", "modules.cv2.build.build_digest"), ("cv2",), 0.8),
    Group("numpy", ("packages.numpy.*", "modules.numpy.version", "modules.numpy.build.openblas.config"),
          ("numpy", "cv2"), 0.8),
    Group("torch", ("packages.torch.*", "packages.torchvision.*", "packages.nvidia-*", "packages.triton*",
                    "modules.torch.version", "modules.torch.build.git_version", "modules.torch.build.config_digest",
                    "modules.torch.build.cuda*", "modules.torch.build.mkl*"), ("torch",), 0.8),
    Group("mmaction2", ("packages.mm*", "modules.mm*"), ("mmaction2",), 0.8),
    Group("ultralytics", ("packages.ultralytics*", "modules.ultralytics.*"), ("ultralytics",), 0.8),
    # Pins choose among the code of a library: less than another library.
    Group("mkl-branch", ("pins.by_name.MKL_CBWR.*", "pins.by_name.MKL_CBWR"), ("torch",), 0.78),
    Group("threads", ("pins.by_name.*_NUM_THREADS*", "pins.by_name.MKL_DYNAMIC*", "modules.*.threads"),
          ("torch", "numpy"), 0.78),
    Group("ipp", ("pins.by_name.OPENCV_IPP*", "modules.cv2.build.ipp"), ("cv2",), 0.78),
    Group("instruction-sets", (*(f"pins.by_name.{name}*" for name in _INSTRUCTIONS), "modules.*.cpu_capability",
                               "modules.*.onednn_convolution", "modules.*.cpu_dispatch", "modules.*.cpu_features",
                               "modules.*.openblas.core"), ("torch", "cv2", "numpy"), 0.76),
    Group("pins", ("pins.*",), (), 0.5),
    Group("platform", ("os.system", "machine.*"), _ALL, 0.82),
    Group("libm", ("libm.*", "libc.*"), ("torch", "numpy"), 0.7),
    Group("package-code", ("code.*", "packages.poseparity.*"), _ALL, 0.6),
    Group("startup", ("startup.*",), (), 0.5),
    Group("bundle-differs", ("bundle.*",), (), 0.0),  # told by the parameters, and by the bundles' digests
    # The pins make processors equal: one explains something only where they fail.
    Group("processor", ("cpu.*",), _ALL, 0.3),
    Group("packages", ("packages.*", "modules.*"), (), 0.3),
    Group("environment", ("*",), (), 0.26),  # just above `certainty.SOMETHING`, so that it is told
)  # fmt: skip
_OPERATIONS, _DIGEST = "fingerprint.operations.", ".sha256"
_SHOWN = ("error", "tolerance", "implied")
_COUNTED = ("error", "tolerance")
_SECTIONS = re.compile(r"^(pins\.by_name|packages|variables|libraries|imports\.(shadowed|bytecode|unrecorded))\.")


def findings_of(a: TraceFile, b: TraceFile) -> list[dict] | None:
    """What verify_env.py finds between the two environments, gravest first; None where a trace has none.

    Raises:
        TraceError: an environment is not of verify_env.py's form.
    """
    if a.trace.environment is None or b.trace.environment is None:
        return None
    try:
        sides = [check_snapshot(side.trace.environment, f"{side.name}: environment") for side in (a, b)]
        return compare_snapshots(*sides, load_policy(POLICY))
    except VerifyError as error:
        raise TraceError(str(error), fix="record both traces with the same release") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise TraceError(
            f"the environment of {a.name} or {b.name} is damaged ({error!s:.80})", fix="record that trace again"
        ) from error


def causes_of(findings: Collection[dict], place: tuple[str, str] | None) -> list[Cause]:
    """One cause for each group of facts that differ.

    Args:
        findings: of `findings_of`.
        place: the stage and the value that differ first; None where nothing does.
    """
    operations = _operations(findings)
    grouped = _grouped(findings)
    causes = [_cause(group, facts, operations, place) for group, facts in grouped]
    told = {library for group, _ in grouped for library in group.libraries}
    for library, names in operations.items():
        if library not in told:  # no other fact explains it: the processor, or what no snapshot sees
            score = certainty.OPERATIONS_ALONE * _relevance((library,), place)
            causes.append(cause("operations", score=score, library=library, what=names[:_LISTED], count=len(names)))
    return causes


def _grouped(findings: Iterable[dict]) -> list[tuple[Group, list[dict]]]:
    found: dict[str, list[dict]] = {}
    for finding in findings:
        group = next(group for group in GROUPS if any(fnmatchcase(finding["path"], each) for each in group.patterns))
        counted = finding["verdict"] in _COUNTED or group.code == "processor"
        if counted and group.weight and not finding["path"].startswith("fingerprint."):
            found.setdefault(group.code, []).append(finding)
    groups = {group.code: group for group in GROUPS}
    if "cv2-providers" in found and "opencv" in found:  # whose files were overwritten is a consequence
        found["cv2-providers"] += found.pop("opencv")
    return [(groups[code], facts) for code, facts in found.items()]


def _cause(group: Group, facts: list[dict], operations: dict[str, list[str]], place: tuple[str, str] | None) -> Cause:
    score = group.weight * _relevance(group.libraries, place)
    if all(fact["reference"] == fact["current"] for fact in facts):
        score *= certainty.BOTH_SIDES
    # The fact that tells most: a version, or a pin, before what follows from it.
    order = ("cv2_providers.names", "packages.*.version", "packages.*.public_version", "pins.*", "packages.*", "*")
    main = min(facts, key=lambda fact: next(i for i, each in enumerate(order) if fnmatchcase(fact["path"], each)))
    name = _SECTIONS.sub("", main["path"]).removesuffix(".state")
    more = f" (and {len(facts) - 1} more)" if len(facts) > 1 else ""
    evidence = {
        "what": f"{name} {_value(main['reference'])} in A, {_value(main['current'])} in B{more}",
        "facts": [
            {"fact": fact["path"], "a": fact["reference"], "b": fact["current"], "verdict": fact["verdict"]}
            for fact in facts[:_LISTED]
        ],
        "count": len(facts),
        "effect": main["effect"],
    }
    if own := [name for library in group.libraries for name in operations.get(library, ())]:
        evidence |= {"operations": own[:_LISTED], "operations_count": len(own)}
        score = min(certainty.AT_MOST, score + certainty.WITH_OPERATIONS)
    return cause(group.code, score=score, **evidence)


def _relevance(libraries: tuple[str, ...], place: tuple[str, str] | None) -> float:
    """How likely it is that another such library shows in this place first."""
    if place is None or not libraries:
        return 1.0
    stage, value = place
    row = BY_NAME.get(stage)  # a trace may be of a release with other stages
    used = row.value_libraries.get(value, row.libraries) if row else _ALL
    ranks = [used.index(library) for library in libraries if library in used]
    return certainty.RELEVANCE[min(min(ranks), len(certainty.RELEVANCE) - 1)] if ranks else certainty.ELSEWHERE


def _operations(findings: Iterable[dict]) -> dict[str, list[str]]:
    """Library to the operations of the fingerprint whose digests differ, those left out that no stage calls."""
    found: dict[str, list[str]] = {}
    for finding in findings:
        path = finding["path"]
        if path.startswith(_OPERATIONS) and path.endswith(_DIGEST) and finding["verdict"] in _SHOWN:
            name = path.removeprefix(_OPERATIONS).removesuffix(_DIGEST)
            found.setdefault(name.partition(".")[0], []).append(name)
    return found


def _value(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("version", f"{len(value)} facts")
    return show(value)
