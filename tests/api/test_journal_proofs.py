"""Proof over HTTP: processes of their own answer, one verification runs at a time, and its state outlives them."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pgjit.api.journal_proofs import PROOF_COMMAND, ChildProofs
from pgjit.api.refusals import CallRefused
from tests.audit.proof.journals import KEY, ORIGIN, edit_lines, make_journal, record
from tests.run.waiting import until

NOW = datetime(2026, 11, 29, 10, tzinfo=UTC)
_WAITS = """
import pathlib, sys, time
print('{"read": 30, "of": 120}', file=sys.stderr, flush=True)
while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)
print('{"journals": [], "notices": []}')
"""


def proofs(folder: Path, command: tuple[str, ...] = PROOF_COMMAND, **options: Any) -> ChildProofs:
    source = {"folders": [str(folder)], "archive": None, "beside": str(folder.parent), "keys": [KEY.text]}
    return ChildProofs(lambda: source, folder / "verification", lambda: NOW, command=command, **options)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    make_journal(tmp_path / "journal")
    return tmp_path / "journal"


@pytest.mark.live
async def test_a_process_of_its_own_verifies_and_the_result_is_kept(journal: Path) -> None:
    first = proofs(journal)
    assert await first.verification() == {"state": "none"}
    begun = await first.begin("ana")
    assert (begun["state"], begun["by"], begun["begun_at"]) == ("running", "ana", NOW.isoformat())
    await first.ended()
    after_a_restart = await proofs(journal).verification()
    assert after_a_restart["state"] == "done"
    assert after_a_restart["read"] == after_a_restart["of"] > 0
    assert [(each["origin"], each["intact"]) for each in after_a_restart["journals"]] == [(ORIGIN, True)]
    assert (journal / "verification").stat().st_mode & 0o077 == 0
    edit_lines(journal, 1, lambda lines: lines.__setitem__(3, record(14, "SELECT 2")))
    await first.begin("ben")
    await first.ended()
    assert [each["intact"] for each in (await first.verification())["journals"]] == [False]


@pytest.mark.live
async def test_one_verification_runs_on_a_node_and_every_worker_sees_how_far_it_is(tmp_path: Path) -> None:
    released = tmp_path / "released"
    command = (sys.executable, "-S", "-c", _WAITS, str(released))
    one, other = proofs(tmp_path, command), proofs(tmp_path, command)
    async with aclosing(one), aclosing(other):
        await one.begin("ana")
        for each in (one, other):
            with pytest.raises(CallRefused) as refused:
                await each.begin("ben")
            assert (refused.value.reference, refused.value.problem()["status"]) == ("verification-running", 409)
        file = tmp_path / "verification" / "latest.json"
        await until(lambda: json.loads(file.read_bytes())["of"] == 120)
        seen = await other.verification()
        assert (seen["state"], seen["read"], seen["of"], seen["by"]) == ("running", 30, 120, "ana")
        released.touch()
        await one.ended()
        assert (await other.verification())["state"] == "done"


@pytest.mark.live
async def test_a_verification_that_is_cut_short_says_so(tmp_path: Path) -> None:
    command = (sys.executable, "-S", "-c", _WAITS, str(tmp_path / "never"))
    cut = proofs(tmp_path, command)
    await cut.begin("ana")
    await cut.aclose()  # as pgjit does when it stops
    assert (await cut.verification())["state"] == "interrupted"
    file = tmp_path / "verification" / "latest.json"
    file.write_text(json.dumps({"state": "running", "by": "ana"}))  # its process was killed
    assert (await proofs(tmp_path).verification())["state"] == "interrupted"
    file.write_text("[]")
    assert await proofs(tmp_path).verification() == {"state": "none"}


@pytest.mark.live
async def test_a_verification_that_fails_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nameless = tmp_path / "journal"
    make_journal(nameless)
    (nameless / "origin").write_text("another\n")
    of_another = proofs(nameless)
    await of_another.begin("ana")
    await of_another.ended()
    failed = await of_another.verification()
    assert failed["state"] == "failed"
    assert "no key is for the journal `another`" in failed["fault"]
    broken = proofs(tmp_path, (sys.executable, "-S", "-c", "import sys; sys.exit('no such module')"))
    await broken.begin("ana")
    await broken.ended()
    assert (await broken.verification())["state"] == "failed"
    assert "1: no such module" in caplog.text


@pytest.mark.live
async def test_questions_are_bounded_in_time_and_number(tmp_path: Path) -> None:
    command = (sys.executable, "-S", "-c", _WAITS, str(tmp_path / "never"))
    slow = proofs(tmp_path, command, seconds=0.01)
    found = await asyncio.gather(*(slow.journals() for _ in range(7)), return_exceptions=True)
    refused = [each.message for each in found if isinstance(each, CallRefused)]
    assert sorted(refused) == ["proof is busy"] * 2 + ["proof took too long"] * 5


@pytest.mark.live
async def test_the_state_of_the_journals_and_a_proof(journal: Path) -> None:
    asked = proofs(journal, seconds=600)
    assert [each["lines"] for each in (await asked.journals())["journals"]] == [27]
    assert (await asked.prove("14", None))["file"].startswith(b"c2sp.org/tlog-proof@v1\n")
    with pytest.raises(CallRefused) as refused:
        await asked.prove("99", None)
    assert (refused.value.reference, refused.value.problem()["status"]) == ("record-unknown", 404)
    broken = proofs(journal, (sys.executable, "-S", "-c", "import sys; sys.exit(1)"))
    with pytest.raises(CallRefused, match="proof could not be made"):
        await broken.journals()
