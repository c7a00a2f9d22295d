"""`pgjit policy explain --terms`: how a policy grants access, and what it allows."""

from __future__ import annotations

import json

import pytest

from pgjit.cli.run import run
from pgjit.cli.status import Status


def test_the_terms_of_a_reviewed_policy_fit_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "explain", "--terms", "--policy", "orders-migration"]) == Status.OK
    out = capsys.readouterr().out
    assert "It takes the approval of one person among group database-reviewers, within 1h.\n" in out
    assert "relations           drop-index: public.orders_*_idx, public.notes_*_idx\n" in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_terms_are_a_document_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "explain", "--terms", "--policy", "break-glass", "--json"]) == Status.OK
    document = json.loads(capsys.readouterr().out)
    assert document["window"]["grant"] == "break-glass"
    assert document["allowed"][0] == {"topic": "statements", "text": "all"}


def test_terms_are_not_of_a_statement(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "explain", "SELECT 1", "--terms", "--policy", "read-only"]) == Status.USAGE
