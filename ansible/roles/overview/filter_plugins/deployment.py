"""Ansible filter: the status of one server in a few lines for people."""

import json
from pathlib import Path

_DIGITS = 19  # of an id: "sha256:" and twelve digits, as Docker shows it


def deployment_status(container, ready, reports, name, url):
    """Return lines on what runs, whether that was verified, and what the last verification found.

    Args:
        container: the engine's answer to a question for the container `name`, as ansible.builtin.uri gives it.
        ready: the service's answer at `url`/readyz, likewise; skipped where nothing runs.
        reports: the host's folder of verification reports on the controller.
    """
    found = container.get("json", {}) if container["status"] == 200 else None
    kept = _reports(Path(reports))
    lines = [_now(container, found, ready, name, url)]
    if found:
        lines.append(_verified([report for report in kept if report["image"]["id"] == found["Image"]]))
    return [*lines, *(_last(kept[-1]) if kept else ["Last verification: none from this checkout"])]


def _reports(folder):
    """Every report, the oldest first."""
    reports = [json.loads(path.read_text("utf-8")) for path in folder.glob("*/report.json")]
    return sorted(reports, key=lambda report: report["when"])


def _now(container, found, ready, name, url):
    if container["status"] not in (200, 404):
        return f"Now: Docker's engine does not answer: {container.get('msg', 'no reason given')}"
    if not found:
        return f"Now: there is no container {name}"
    state = found["State"]
    if not state["Running"]:
        return f"Now: container {name} is {state['Status']}, image {found['Image'][:_DIGITS]}"
    return f"Now: image {found['Image'][:_DIGITS]} runs since {state['StartedAt'][:19]}Z, {_readiness(ready, url)}"


def _readiness(ready, url):
    if ready.get("status") == 200:
        return f"ready at {url} with {_bundle(ready['json']['bundle'])}"
    return f"not ready: {url} says {(ready.get('content') or ready.get('msg', 'nothing')).strip()[:300]}"


def _verified(reports):
    if not reports:
        return "What runs was never verified from this checkout"
    return f"What runs was verified at {reports[-1]['when']}: {reports[-1]['verdict']}"


def _last(report):
    image, bundle = report["image"], report["bundle"]
    release = f"{image['name']} ({image['id'][:_DIGITS]})" + (f" with {_bundle(bundle)}" if bundle else "")
    return [f"Last verification at {report['when']}: {report['verdict']}, {release}", *report["differs"]]


def _bundle(bundle):
    return f"bundle {bundle['name']} {bundle['version']} ({bundle['sha256'][:12]})"


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self):
        return {"deployment_status": deployment_status}
