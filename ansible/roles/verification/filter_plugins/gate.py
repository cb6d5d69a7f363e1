"""Ansible filters: what a verification found, as a report to keep and as a message, the last thing on a screen."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

FORMAT = "poseparity-verification/1"
_WIDEST = 220  # characters of one line of the message
_MOST = 3  # differences that one line names
_BEGINNING = 60  # characters of an answer that cannot be read
_MISMATCH = "  MISMATCH  "  # how `verify_env.py compare` marks what its policy forbids
_SUMMARIES = ("match: ", "match within a tolerance: ", "mismatch: ")  # with one of these its last line begins
_STATUSES = {"identical": 0, "within-tolerance": 1, "diverged": 1}  # of `poseparity compare`, by its verdict
# Facts that follow from those of packages, pins, code and bundle, or tell less than another one.
_SYMPTOMS = ("modules.", "fingerprint", "imports.path", "imports.folders")
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{8,}(\.\.[0-9a-f]+)?\b")

_OF_NO_STAGE = ("folder", "sha256")  # of `poseparity bundle show`

# Causes of `poseparity compare` that do not say what happened: with arrays, more could be said.
_UNEXPLAINED = ("unknown", "pixels-changed", "startup")


def gate_unexplained(comparisons):
    """Return the names of the clips that differ from the local run in a way that digests alone do not explain.

    Args:
        comparisons: the results of `poseparity compare --json`, one a clip, whose name is the loop's item.
    """
    return [item for item, found in _different(comparisons).items() if _code(found)]


def gate_diverged(comparisons):
    """Return the names of the clips of which a page can be drawn: those that were compared, and differ."""
    return list(_different(comparisons))


def gate_snapshot(traces):
    """Return the environment that a trace holds, as JSON: the first one's that holds any, "null" where none does.

    Args:
        traces: their files.
    """
    found = (_object(_text(Path(trace))) for trace in traces)
    return json.dumps(next((trace["environment"] for trace in found if trace and trace.get("environment")), None))


def gate_table(result):
    """Return the lines of `verify_env.py compare`; where it gave no verdict, one line that says so as a mismatch.

    Args:
        result: of the command; it may have been skipped.
    """
    lines = result.get("stdout_lines", [])
    if result.get("skipped") or (result.get("rc") in (0, 1) and lines and lines[-1].startswith(_SUMMARIES)):
        return lines
    row = ("the comparison of `verify_env.py`", "an answer", f"absent ({_end_of(result)})", "MISMATCH", "Unknown.")
    return ["   ".join(row)]


def gate_report(comparisons, folder, local, image, host, table):
    """Return the report of one host and release.

    Args:
        comparisons: as for gate_unexplained.
        folder: where the server's traces lie, and the messages of clips that gave none.
        local: where the local ones lie.
        image: its name and id.
        host: its name in the inventory.
        table: of gate_table.
    """
    mismatches = [line.strip() for line in table if _MISMATCH in line]
    clips = [_clip(comparison, Path(folder)) for comparison in comparisons]
    parameters = _parameters(Path(local), Path(folder))
    passed = bool(clips) and not mismatches and all(clip["verdict"] == "identical" for clip in clips)
    return {
        "format": FORMAT,
        "when": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "host": host,
        "image": dict(image),
        "bundle": next((clip["bundle"] for clip in clips if clip["bundle"]), None),
        "verdict": "passed" if passed else "refused",
        "differs": [] if passed else _differs(clips, parameters, mismatches),
        "environment": mismatches,
        "clips": clips,
    }


def gate_message(report, folder, policy):
    """Return why an image was refused, in at most seven lines."""
    lines = [
        f"{report['image']['name']} is refused on {report['host']}; what runs there was not touched. "
        "A is this machine, B the image.",
        *report["differs"],
        f"Report: {_page(report['clips'], Path(folder))}",
        "Fix: build the image from this checkout (ansible-playbook build.yml), or put the local environment in order "
        f"(scripts/environment runtime). {Path(policy).name} says what must be equal.",
    ]
    return "\n".join(lines)


def _code(comparison):
    """The first cause's code, where it stands for none."""
    return next((cause["code"] for cause in comparison["causes"][:1] if cause["code"] in _UNEXPLAINED), None)


def _different(comparisons):
    """Clip to answer, of those that differ."""
    answers = {each["item"]: _answer(each) for each in comparisons}
    return {item: found for item, found in answers.items() if found and found["verdict"] != "identical"}


def _answer(comparison):
    """What `poseparity compare --json` answered; None where that is not the JSON, or the status, of a comparison."""
    found = _object(comparison.get("stdout") or "")
    if not found or comparison.get("rc") != _STATUSES.get(str(found.get("verdict")), "none"):
        return None
    causes, warnings = found.get("causes"), found.get("warnings")
    whole = _texts(found, "summary") and _tables(causes, "code", "title", "confirm") and _tables(warnings, "title")
    return found if whole else None


def _object(text):
    """The JSON object that a text is; None where it is anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _tables(value, *names):
    return isinstance(value, list) and all(isinstance(each, dict) and _texts(each, *names) for each in value)


def _texts(table, *names):
    return all(isinstance(table.get(name), str) for name in names)


def _clip(comparison, folder):
    name, result = comparison["item"], _answer(comparison)
    if result is not None:
        return {"clip": name, "bundle": _bundle(folder, name), "verdict": result["verdict"], "comparison": result}
    printed = {stream: comparison.get(stream, "") for stream in ("stdout", "stderr")}
    why = _why_not(comparison, folder / f"{name}.trace.json", folder / f"{name}.error.txt")
    return {"clip": name, "bundle": None, "verdict": "failed", "error": f"It cannot {why}", "printed": printed}


def _why_not(comparison, trace, error):
    """Why there is no comparison of a clip; `error` is what the image said when it ran it."""
    name, said = comparison["item"], _text(error)
    if comparison.get("rc") != 2:
        return f"be compared on {name}: `poseparity compare` gave no answer that can be read ({_end_of(comparison)})"
    if _error_in(said) or not trace.exists():
        return f"run {name}: {_last_error(said or comparison.get('stderr') or '')}"
    if _object(_text(trace)) is None:
        return f"be compared on {name}: its trace is no JSON object, see {trace.name} beside the report"
    return f"run {name}: {_last_error(comparison.get('stderr') or '')}"


def _end_of(result):
    """How a command ended that gave no answer, with the last that it said."""
    status = f"exit status {result.get('rc', 'unknown')}"
    if _lines(result.get("stderr") or ""):
        return f"{status}; it says {' '.join(_last_error(result['stderr']).split())}"
    printed = " ".join((result.get("stdout") or "").split())
    return f"{status}; it printed {printed[:_BEGINNING] or 'nothing'}"


def _bundle(folder, name):
    """The bundle that a trace names; None where it names none."""
    trace = _object(_text(folder / f"{name}.trace.json"))
    bundle = trace.get("bundle") if trace else None
    return bundle if isinstance(bundle, dict) else None


def _text(path):
    """What came from the image under a name; "" where nothing did."""
    return path.read_text("utf-8", "replace").strip() if path.exists() else ""


def _differs(clips, parameters, mismatches):
    """Lines on the first clip that is not identical, or that all are, then on the bundle and the environment."""
    clip = next((clip for clip in clips if clip["verdict"] != "identical"), None)
    lines = _of_clip(clip) if clip else _of_identical(clips)
    ordered = sorted(mismatches, key=lambda line: line.startswith(_SYMPTOMS))
    lines = [*lines, *_listed("Bundle", parameters), *_listed("Environment", [_fact(line) for line in ordered])]
    return [_short(line) for line in lines]


def _of_clip(clip):
    if clip["verdict"] == "failed":
        return [clip["error"]]
    result = clip["comparison"]
    stage, _, _ = result["summary"].partition("; likeliest cause: ")
    causes = [(f"Likeliest cause: {each['title']}", f"To be sure: {each['confirm']}") for each in result["causes"][:1]]
    return [f"On {clip['clip']} {stage}", *(line for lines in causes for line in lines)]


def _of_identical(clips):
    """What differs between the runs of a clip, although it had no effect on that one."""
    if not clips:
        return ["No clip was replayed"]
    warnings = [warning["title"] for clip in clips for warning in clip["comparison"]["warnings"]]
    found = f" Found: {'; '.join(warnings[:_MOST])}" if warnings else ""
    return [f"Every stage gave the same bits on what was replayed, but other clips can differ.{found}"]


def _listed(title, facts):
    if not facts:
        return []
    more = [f"{len(facts) - _MOST} more"] if len(facts) > _MOST else []
    return [f"{title}: {', '.join([*facts[:_MOST], *more])}"]


def _parameters(local, folder):
    """What differs between the bundles, where the image described its own: it does so when a clip gave no trace."""
    if not (folder / "bundle.json").exists():
        return []
    read = [_object(_text(each / "bundle.json")) for each in (local, folder)]
    if None in read:
        return ["its description is no JSON object, see bundle.json beside the report"]
    mine, theirs = (dict(_flat(table)) for table in read)
    names = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
    return [f"{name} is {theirs.get(name)}, expected {mine.get(name)}" for name in names if name not in _OF_NO_STAGE]


def _flat(table, prefix=""):
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value)


def _fact(line):
    """A line of the table, `name  local  server  MISMATCH  effect`, in words."""
    name, local, server, *_ = [*re.split(r"\s{2,}", line), "", ""]
    return _DIGEST.sub(r"\1", f"{name} is {server}, expected {local}")


def _page(clips, folder):
    """The page of the first clip that has one; everything else lies beside it."""
    pages = [folder / f"{clip['clip']}.html" for clip in clips]
    return next((page for page in pages if page.exists()), folder / "report.json")


def _last_error(text):
    """The line with which the program says why it stopped, or the last one."""
    return _error_in(text) or (_lines(text) or ["it says nothing"])[-1]


def _error_in(text):
    return next((line for line in _lines(text) if line.startswith("poseparity: ")), None)


def _lines(text):
    return [line.strip() for line in text.splitlines() if line.strip() and "WARNING" not in line]


def _short(line):
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"


class FilterModule:
    """Ansible's way to find the filters."""

    def filters(self):
        return {
            "gate_diverged": gate_diverged,
            "gate_message": gate_message,
            "gate_report": gate_report,
            "gate_snapshot": gate_snapshot,
            "gate_table": gate_table,
            "gate_unexplained": gate_unexplained,
        }
