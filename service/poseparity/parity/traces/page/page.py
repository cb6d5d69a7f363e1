"""One self-contained page about a comparison of two traces: for a browser, for print, for a colleague."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ....outputs import replacing
from ..causes.catalogue import show
from ..compare import TraceComparison
from .drawings import Figures

_FOLDER = Path(__file__).parent
_MARKS = {"identical": "=", "within-tolerance": "≈", "diverged": "≠", "only-in-one": "·"}
_WORDS = {
    "identical": "identical",
    "within-tolerance": "within tolerance",
    "diverged": "diverged",
    "only-in-one": "only in one",
}


def write_page(path: Path, comparison: TraceComparison, figures: Figures) -> None:
    """Write the page; it needs no network and no other file.

    Everything that comes from a trace is escaped by the template's engine: a trace is from anywhere.
    """
    with replacing(path) as partial:
        partial.write_text(render_page(comparison, figures), encoding="utf-8")


def render_page(comparison: TraceComparison, figures: Figures) -> str:
    """The page as HTML text."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"show": show, "code": _code}
    return environment.get_template("page.html.j2").render(
        comparison=comparison,
        figures=figures,
        marks=_MARKS,
        words=_WORDS,
        style=(_FOLDER / "page.css").read_text(encoding="utf-8"),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        counted=[each for each in comparison.environment if each["verdict"] in ("error", "tolerance")],
        others=[each for each in comparison.environment if each["verdict"] == "allowed"],
    )


def _code(text: str) -> Markup:
    """Escaped text; what stands between backticks is code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))
