"""The documents say what the code does: commands, links, keys, records and the errors that they quote."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from pgjit.audit.record import render
from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.cli.table import COMMANDS
from pgjit.judging.dry_run import REFERENCES, rehearse
from pgjit.policy.decision import Deny
from pgjit.policy.evaluate import evaluate
from pgjit.policy.language import PolicyFile
from pgjit.policy.load import load_policies
from pgjit.policy.rules import RULES
from pgjit.policy.suite import CaseSection, SuiteFile, load_suites, suite_paths
from pgjit.proxy.relay.show_pgjit import ABOUT
from pgjit.sql.parse import read_message
from pgjit.telemetry.metrics import Metrics
from pgjit.telemetry.prometheus import prometheus_name
from tests.audit.audit_events import EVENTS
from tests.audit.review_events import REVIEW_EVENTS
from tests.repo import cli_reference, journal_schema, metrics_reference
from tests.repo.config_reference import PAGE, rewritten
from tests.run.rows import table

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "policies").glob("*.md"),
        *(ROOT / "docker").rglob("*.md"),
    ]
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_METRIC = re.compile(r"\b(pgjit_[a-z_]+_(?:total|seconds|bytes|remaining|writable|up|live|seconds_bucket))\b")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _code_block(document: str, language: str, first: str) -> str:
    """The fenced block of `language` that begins with `first`."""
    for block in re.findall(rf"^```{language}\n(.*?)^```", document, re.MULTILINE | re.DOTALL):
        if str(block).startswith(first):
            return str(block)
    raise AssertionError(f"no {language} block begins with {first!r}")


def test_the_configuration_reference_is_what_the_models_say() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == rewritten(page), "docs/config.md is stale: run `make docs`"


def test_every_metric_is_in_the_page_on_metrics_and_no_other() -> None:
    page = _text("docs/metrics.md")
    assert page == metrics_reference.rewritten(page)


def test_metrics_that_documents_name_exist() -> None:
    known = {prometheus_name(family.text) for family in Metrics()}
    known |= {name + end for name in known for end in ("_bucket", "_sum", "_count")}
    current = [document for document in DOCUMENTS if document.name != "CHANGELOG.md"]  # which has old names, too
    named = {each for document in current for each in _METRIC.findall(document.read_text(encoding="utf-8"))}
    assert named - known == set()


def test_the_schema_of_the_journal_is_what_its_shapes_say() -> None:
    assert journal_schema.PAGE.read_text(encoding="utf-8") == journal_schema.written(), "stale: run `make docs`"


def test_the_reference_of_the_commands_is_what_they_say() -> None:
    page = cli_reference.PAGE.read_text(encoding="utf-8")
    assert page == cli_reference.rewritten(page), "docs/cli.md is stale: run `make docs`"


def test_the_explanation_in_the_page_on_commands_is_what_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    block = re.search(r"^    \$ pgjit (policy explain .*)\n((?:    .*\n|\n)*)", _text("docs/cli.md"), re.MULTILINE)
    assert block is not None
    assert run(shlex.split(block[1])) == Status.FAILED
    told = "".join(f"    {line}\n" if line else "\n" for line in capsys.readouterr().out.splitlines())
    assert block[2].rstrip() == told.rstrip()


def test_the_suite_in_the_page_on_commands_passes(tmp_path: Path) -> None:
    written = _code_block(_text("docs/cli.md"), "yaml", "policy:")
    (tmp_path / "page_test.yaml").write_text(written)
    policies, _ = load_policies(ROOT / "policies")
    suites, faults = load_suites(suite_paths(tmp_path), policies, RULES.keys() | REFERENCES)
    assert faults == []
    outcomes = [rehearse(policies, case, 10_000) for suite in suites for case in suite.cases]
    assert len(outcomes) == 4
    assert all(outcome.passed for outcome in outcomes)


def test_every_key_of_a_suite_is_in_the_page_on_commands() -> None:
    page = _text("docs/cli.md")
    inner = {name for name in CaseSection.model_fields if f"`tests[].{name}`" not in page}
    assert inner | {name for name in SuiteFile.model_fields if f"`{name}`" not in page and name != "tests"} == set()


@table("document", DOCUMENTS, ids=_name)
def test_local_links_lead_to_files(document: Path) -> None:
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    targets = [target for target in _LINK.findall(text) if not re.match(r"[a-z]+:|#", target)]
    missing = [target for target in targets if not (document.parent / target.partition("#")[0]).exists()]
    assert missing == []


def _anchors(text: str) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", text), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@table("document", DOCUMENTS, ids=_name)
def test_local_links_lead_to_headings(document: Path) -> None:
    targets = [
        target.partition("#")
        for target in _LINK.findall(_FENCE.sub("", document.read_text(encoding="utf-8")))
        if "#" in target and not re.match(r"[a-z]+:", target)
    ]
    pages = [(document.parent / name if name else document, anchor) for name, _, anchor in targets]
    assert [
        anchor
        for page, anchor in pages
        if page.suffix == ".md" and anchor not in _anchors(page.read_text(encoding="utf-8"))
    ] == []


@table("document", DOCUMENTS, ids=_name)
def test_make_targets_that_are_named_are_in_the_makefile(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", _text("Makefile"), re.MULTILINE))
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"(?:^ {4}|`)make ([a-z][a-z-]*)", text, re.MULTILINE)
    assert set(named) - targets == set()


@table("document", DOCUMENTS, ids=_name)
def test_commands_that_are_named_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"(?:^ {4}|`)pgjit ([a-z][a-z-]*)", text, re.MULTILINE)
    assert set(named) - set(COMMANDS) == set()


def test_the_readme_names_every_make_target_that_a_newcomer_needs() -> None:
    readme = _text("README.md")
    assert all(f"make {line}" in readme for line in ("demo ", "demo ARGS=--once", "test "))


def test_the_readme_quotes_the_refusal_as_psql_prints_it() -> None:
    readme = _text("README.md")
    policies, faults = load_policies(ROOT / "policies")
    assert faults == []
    statement = "UPDATE customers SET email = 'x@example.com';"
    decision = evaluate(policies["jit-schema-checks"], read_message(statement))
    assert isinstance(decision, Deny)
    found = decision.violations[0]
    assert found.position == 1
    printed = [
        f"ERROR:  {found.message}",
        f"LINE 1: {statement}",
        "        ^",
        f"DETAIL:  {found.detail}",
        f"HINT:  {found.hint}",
    ]
    assert "\n".join(f"    {line}" for line in printed) in readme


def test_the_policy_in_the_readme_is_a_policy() -> None:
    written = yaml.safe_load(_code_block(_text("README.md"), "yaml", "policy:"))
    assert PolicyFile.model_validate(written).policy == "jit-schema-checks"


@pytest.mark.parametrize("name", ABOUT)
def test_what_a_session_can_ask_about_itself_is_in_the_readme(name: str) -> None:
    assert f"SHOW pgjit.{name}" in _text("README.md")


def _members(value: Any) -> set[str]:
    match value:
        case dict():
            return set(value).union(*(_members(inner) for inner in value.values()))
        case list():
            return set().union(*(_members(inner) for inner in value))
        case _:
            return set()


@pytest.mark.parametrize("kind", [*EVENTS, *REVIEW_EVENTS])
def test_every_member_of_every_record_is_in_the_journal_page(kind: str) -> None:
    page = _text("docs/journal.md")
    assert f"`{kind}`" in page
    members = _members(orjson.loads(render({**EVENTS, **REVIEW_EVENTS}[kind], 1)))
    assert {member for member in members if f"`{member}`" not in page} == set()


def test_every_rule_has_its_page_and_every_page_its_rule() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "rules").glob("*.md")} - {"README", "index"}
    assert set(RULES) == pages


@table("name", sorted(RULES))
def test_every_rule_has_a_file_of_its_name(name: str) -> None:
    assert (ROOT / "pgjit" / "policy" / "rules" / f"{name.replace('-', '_')}.py").is_file()
