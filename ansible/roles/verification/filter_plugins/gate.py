"""Ansible filters: what a verification found, as a report to keep and as a message, the last thing on a screen."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

FORMAT = "poseparity-verification/1"
_WIDEST = 220  # characters of one line of the message
_MOST = 3  # differences that one line names
_MISMATCH = "  MISMATCH  "  # how `verify_env.py compare` marks what its policy forbids
_SYMPTOMS = ("modules.", "fingerprint")  # facts that follow from those of packages, pins, code and bundle
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{8,}(\.\.[0-9a-f]+)?\b")

_OF_NO_STAGE = ("folder", "sha256")  # of `poseparity bundle show`

# Causes of `poseparity compare` that do not say what happened: with arrays, more could be said.
_UNEXPLAINED = ("unknown", "pixels-changed", "startup")


def gate_unexplained(comparisons):
    """Return the names of the clips that differ from the local run in a way that digests alone do not explain.

    Args:
        comparisons: the results of `poseparity compare --json`, one a clip, whose name is the loop's item.
    """
    return [each["item"] for each in comparisons if each["rc"] == 1 and _code(json.loads(each["stdout"]))]


def gate_report(comparisons, folder, local, image, host, table):
    """Return the report of one host and release.

    Args:
        comparisons: as for gate_unexplained.
        folder: where the server's traces lie, and the messages of clips that gave none.
        local: where the local ones lie.
        image: its name and id.
        host: its name in the inventory.
        table: the lines of `verify_env.py compare`.
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


def _clip(comparison, folder):
    name = comparison["item"]
    if comparison["rc"] == 2:
        error = folder / f"{name}.error.txt"
        text = error.read_text("utf-8", "replace").strip() if error.exists() else ""
        return {"clip": name, "bundle": None, "verdict": "failed", "error": text or comparison["stderr"].strip()}
    result = json.loads(comparison["stdout"])
    trace = json.loads((folder / f"{name}.trace.json").read_text("utf-8"))
    return {"clip": name, "bundle": trace["bundle"], "verdict": result["verdict"], "comparison": result}


def _differs(clips, parameters, mismatches):
    """Lines on the first clip that is not identical, or that all are, then on the bundle and the environment."""
    clip = next((clip for clip in clips if clip["verdict"] != "identical"), None)
    lines = _of_clip(clip) if clip else _of_identical(clips)
    ordered = sorted(mismatches, key=lambda line: line.startswith(_SYMPTOMS))
    lines = [*lines, *_listed("Bundle", parameters), *_listed("Environment", [_fact(line) for line in ordered])]
    return [_short(line) for line in lines]


def _of_clip(clip):
    if clip["verdict"] == "failed":
        return [f"It cannot run {clip['clip']}: {_last_error(clip['error'])}"]
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
    """What differs between the bundles, where the image described its own: it does so when no clip gave a trace."""
    if not (folder / "bundle.json").exists():
        return []
    mine, theirs = (dict(_flat(json.loads((each / "bundle.json").read_text("utf-8")))) for each in (local, folder))
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
    lines = [line.strip() for line in text.splitlines() if line.strip() and "WARNING" not in line]
    return next((line for line in lines if line.startswith("poseparity: ")), (lines or ["it says nothing"])[-1])


def _short(line):
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"


class FilterModule:
    """Ansible's way to find the filters."""

    def filters(self):
        return {"gate_report": gate_report, "gate_message": gate_message, "gate_unexplained": gate_unexplained}
