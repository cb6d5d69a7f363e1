"""What the pages show is what happens: their commands are run, and what they print is compared with the page.

"…" on a page stands for whatever is printed there: a time, a digest, the rest. Commands that need Docker, or files that
only a user has, are listed below, each heading with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from poseparity import startup
from poseparity.environment import snapshots
from poseparity.environment.project import describe_bundle
from poseparity.settings import Settings
from tests.conftest import DEMO_BUNDLE
from tests.integration.web_server import Server

from .examples import Example, agrees, answers, examples_of, prints
from .pages import PAGES, Page
from .reader import Reader

WEIGHTS = "needs weights and data of a user; tests/e2e/test_own_bundle.py imports, deploys and asks such a model"
NOT_RUN = {
    ("README.md", "Two commands"): "needs Docker (tests/e2e/test_deploy.py), and would run these tests",
    ("docs/quickstart.ko.md", "설치와 배포"): "needs Docker (tests/e2e/test_deploy.py), and would run these tests",
    ("docs/quickstart.ko.md", "스켈레톤 CSV 두 개 비교"): "names files of the reader; docs/compare.md has the example",
    ("docs/quickstart.ko.md", "내 모델 배포하기"): WEIGHTS,
    ("docs/operations.md", "Deploy"): "needs Docker; tests/e2e/test_deploy.py deploys",
    ("docs/operations.md", "See what runs"): "needs Docker; tests/e2e/test_release.py asks for the status",
    ("docs/operations.md", "When a deployment is refused"): "needs Docker; tests/e2e/test_gate.py plants this fault",
    ("docs/operations.md", "Take it away"): "needs Docker; tests/e2e/test_destroy.py takes it away",
    ("docs/bundles.md", "1. Import"): WEIGHTS,
    ("docs/bundles.md", "What did the model see?"): WEIGHTS,
    ("docs/bundles.md", "2. Hold it to an answer that you know"): WEIGHTS,
    ("docs/bundles.md", "3. Deploy, and ask"): WEIGHTS,
    ("docs/bundles.md", "Repeat a validation with MMAction2 itself"): "tests/integration/test_mmaction2_tools.py",
    ("docs/engines.md", "OpenPose's executable"): "needs a build of OpenPose; tests/integration/test_import_engines.py",
    ("docs/official-weights.md", "The official weights"): "downloads; tests/integration/test_fetch_bundle.py fetches",
    ("docs/legacy-clients.md", "The answer"): "tests/integration/test_legacy_clients.py holds it to the service",
    ("docs/legacy-clients.md", "An example"): "tests/integration/test_legacy_clients.py runs it",
}
READ = [page for page in PAGES if page.name == "README.md" or page.name.startswith("docs/")]
RUN = {page.name: [each for each in examples_of(page) if (page.name, each.heading) not in NOT_RUN] for page in READ}


@pytest.fixture(scope="module")
def reader(pipeline, demo_result, tmp_path_factory) -> Iterator[Reader]:
    """With the demo bundle's models, which this process has loaded already, and a service of its own."""
    load = startup.load_pipeline

    def load_once(settings: Settings, **options: bool):
        return pipeline if settings.bundle.resolve() == DEMO_BUNDLE else load(settings, **options)

    def described(bundle: Path) -> dict:
        # The service runs in this environment and has described it already; once more would take as long as a page.
        return {**server.get("/v1/environment").json(), "bundle": describe_bundle(bundle)}

    folder = tmp_path_factory.mktemp("reader")
    (folder / "service").mkdir()
    with Server(folder / "service") as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(startup, "load_pipeline", load_once)
        patch.setattr(snapshots, "of", described)
        server.wait_ready()
        reader = Reader(folder, server.url)
        (reader.home / "skeleton.csv").write_bytes(demo_result.csv)
        yield reader


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, examples in RUN.items() if examples])
def test_a_page_shows_what_happens(reader: Reader, name: str):
    for example in RUN[name]:
        status, printed = reader.run(example.command)
        assert agrees(example, printed), f"{name}: {example.command}\nshown: {example.printed}\nprinted: {printed}"
        assert status == expected_status(example.command, printed), f"{name}: {example.command}"


def expected_status(command: str, printed: str) -> int:
    """Of `poseparity compare` as the page says it, of all other commands 0."""
    return 1 if "poseparity compare " in command and not printed.lower().startswith("identical") else 0


@pytest.mark.parametrize("page", READ, ids=lambda page: page.name)
def test_every_block_is_run_or_listed_with_its_reason(page: Page):
    run = {each.heading for each in RUN[page.name]}
    blocks = [each for each in page.blocks if each.language in ("console", "sh", "python", "json")]
    forgotten = {
        each.heading
        for each in blocks
        if (page.name, each.heading) not in NOT_RUN
        and (each.heading not in run or each.language not in ("console", "json"))
    }
    assert not forgotten, "run them, or say why not"
    answers_shown = [each for each in blocks if each.language == "json" and (page.name, each.heading) not in NOT_RUN]
    assert len(answers_shown) == len([each for each in RUN[page.name] if each.answer])


def test_the_list_names_what_is_there():
    there = {(page.name, block.heading) for page in READ for block in page.blocks}
    assert NOT_RUN.keys() <= there


@pytest.mark.parametrize("page", READ, ids=lambda page: page.name)
def test_a_page_makes_the_files_that_it_reads(page: Page):
    """All pages share one folder here; a reader may have opened this page alone."""
    made: set[str] = set()
    for example in RUN[page.name]:
        for before, file in re.findall(r"(\S+) \S*?(/tmp/[\w.]+)", example.command):
            if before in ("--csv", "--overlay", "--plot", "--trace", "--html", "-o", ">", "service/bundles/demo"):
                made.add(file)
        made |= set(re.findall(r'Path\("(/tmp/[\w.]+)"\)\.write_bytes', example.command))
        read = set(re.findall(r"/tmp/[\w.]+", example.command)) - made
        assert not read, f"{example.command} reads what no command above it makes"


@pytest.mark.parametrize(
    "shown, printed, same",
    [
        ("a", "a\n", True),
        ("a", "a\nb\n", False),
        ("a\n…", "a\nb\nc\n", True),
        ("a\n…", "a\n", True),
        ("a\n…\nd", "a\nb\nc\n", False),
        ("took … s", "took 1.5 s\n", True),
        ("took … s", "took 1.5 s\nmore\n", False),
        ("a.c", "abc\n", False),
    ],
)
def test_what_a_page_shows_is_compared(shown, printed, same):
    assert prints(shown, printed) is same


@pytest.mark.parametrize(
    "shown, answer, same",
    [
        ('{"a": 1}', '{"a": 1}', True),
        ('{"a": 1}', '{"a": 2}', False),
        ('{"a": 1}', '{"a": 1, "b": 2}', False),
        ('{"a": 1, "…": "…"}', '{"a": 1, "b": 2}', True),
        ('{"a": "…"}', "{}", False),
        ('[1, "…"]', "[1, 2, 3]", True),
        ("[1]", "[1, 2]", False),
        ('[1, 2, "…"]', "[1]", False),
    ],
)
def test_an_answer_on_a_page_is_compared(shown, answer, same):
    assert answers(json.loads(shown), json.loads(answer)) is same


def test_commands_and_what_they_print_are_told_apart(tmp_path):
    text = "# T\n```console\n$ one \\\n    more\nprinted\n$ two <<'EOF'\n$ inside\nEOF\n```\n```json\n{}\n```\n"
    page = Page(tmp_path / "page.md")
    page.path.write_text(text, encoding="utf-8")
    assert examples_of(page) == [
        Example("T", "one \\\n    more", "printed"),
        Example("T", "two <<'EOF'\n$ inside\nEOF", answer="{}\n"),
    ]
