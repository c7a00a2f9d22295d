"""The proof of one record: checked before anything of it is shown, as a page and as a file, and given by others."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.api.refusals import CallRefused
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.proving import prove_record
from tests.audit.proof.journals import KEY, make_journal, record
from tests.console.audit_answers import HOSTILE, assert_text_only
from tests.console.visits import Visits
from tests.fakes.journal_proofs import STATE


def proof_of(folder: Path, seq: int, text: str = "SELECT 1") -> str:
    make_journal(folder, lines=[record(each, text) for each in range(1, 28)])
    return prove_record(JournalFiles([folder]), str(seq), [KEY]).content().decode()


def prepared(visits: Visits, proof: str) -> None:
    visits.proofs.items = [{**STATE, "origin": KEY.name, "keys": [KEY.text]}]
    visits.proofs.proof = proof


async def test_a_record_is_shown_when_its_proof_holds(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        prepared(visits, proof_of(tmp_path / "proved", 14, "SELECT <b>"))
        page = await ana.get(f"/proof/record?record=14&journal={KEY.name}")
        assert page.status_code == 200, page.text
        for text in ("The proof holds.", "line 14 of the 27 signed lines", "SELECT &lt;b&gt;", KEY.text):
            assert text in page.text
        assert f'href="/proof/record/file?record=14&amp;journal={KEY.name}"' in page.text
        assert [each[3] for each in visits.calls()][-2:] == ["/audit/proof", "/audit/journals"]


async def test_nothing_is_shown_of_a_proof_that_does_not_hold(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        proof = proof_of(tmp_path / "proved", 14)
        other = proof_of(tmp_path / "other", 14, "DROP TABLE t")
        forged = proof.replace(proof.split("\n")[1], other.split("\n")[1])  # another line in a true proof
        for content, said in (
            (forged, "does not have this line"),
            ("nothing", "no proof of a line"),
            (proof.replace(KEY.name, "another"), "there is no key for the journal `another`"),
        ):
            prepared(visits, content)
            page = await ana.get("/proof/record?record=14")
            assert "The proof does not hold:" in page.text
            assert said in page.text
            assert "DROP TABLE" not in page.text
            assert "Download the proof" not in page.text


async def test_the_proof_is_a_file_too(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        file = await ana.get("/proof/record/file?record=abc/14&journal=")
        assert (file.status_code, file.text) == (200, "c2sp.org/tlog-proof@v1\n")
        assert file.headers["content-disposition"] == 'attachment; filename="record-abc-14.tlog-proof"'
        await ana.get("/proof/record/file?record=7&journal=n1/0/abcdefgh")
        assert visits.proofs.asked == [("prove", "abc/14", ""), ("prove", "7", "n1/0/abcdefgh")]


@pytest.mark.parametrize(
    "query",
    ["", "record=", "record=a+b", "record=../../etc", "record=1&record=2", "record=1%0d%0aX:1", "other=1",
     f"record={'1' * 201}", f"record=1&journal={'x' * 513}", "record=abc/"],
)  # fmt: skip
async def test_a_malformed_record_reaches_nobody(query: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        for path in ("/proof/record", "/proof/record/file"):
            response = await ana.get(f"{path}?{query}")
            assert response.status_code in (400, 422)
            assert "x" not in response.headers
        assert visits.proofs.asked == []


async def test_a_record_that_is_not_signed_yet_is_looked_for_again(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.proofs.fault = CallRefused(
            "record cannot be proved yet", reference="not-signed-yet", status=409, hint="Try again in a moment."
        )
        page = await ana.get("/proof/record?record=7")
        assert (page.status_code, 'data-again="5"' in page.text) == (409, True)
        assert "Try again in a moment." in page.text
        visits.proofs.fault = CallRefused("proof is busy", reference="proof-unavailable", status=503)
        assert "The proof is not known now:" in (await ana.get("/proof/record?record=7")).text
        visits.proofs.fault = CallRefused("record is not in the journal", reference="record-unknown", status=404)
        assert (await ana.get("/proof/record?record=7")).status_code == 404


async def test_a_proof_that_somebody_gave_is_checked_with_a_key_that_was_kept(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        proof = proof_of(tmp_path / "proved", 14)
        assert (await ana.get("/proof/check")).status_code == 200
        page = await ana.post("/proof/check", {"proof": proof.replace("\n", "\r\n"), "key": KEY.text})
        assert "The proof holds." in page.text
        assert visits.proofs.asked == []  # nothing of this node's is needed
        page = await ana.post("/proof/check", {"proof": proof})
        assert f"there is no key for the journal `{KEY.name}` here" in page.text
        prepared(visits, "")
        assert "The proof holds." in (await ana.post("/proof/check", {"proof": proof})).text
        other = KEY.text.replace(KEY.name, "another")
        assert (
            await ana.post("/proof/check", {"proof": proof, "key": other})
        ).status_code == 400  # its id is of the name


@pytest.mark.parametrize(
    "form",
    [
        {"proof": ""},
        {"proof": "x" * 60_001},
        {"proof": "a\x00b"},
        {"proof": "x", "key": "k"},
        {"proof": "x", "key": "/etc/passwd"},
        {"proof": "x", "key": "a+b+c"},
        {"proof": "x", "key": "x" * 601},
        {"proof": "x", "csrf": "no"},
    ],
)
async def test_a_malformed_form_is_refused(form: dict[str, str], tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        assert (await ana.post("/proof/check", form)).status_code in (400, 403, 413)
        assert visits.proofs.asked == []


async def test_texts_of_a_proof_are_text(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        text = HOSTILE.replace('"', "").replace("\x1b", "\\u001b").replace("\x07", "\\u0007")
        prepared(visits, proof_of(tmp_path / "proved", 14, text))
        page = await ana.get("/proof/record?record=14")
        assert "The proof holds." in page.text
        assert_text_only(page.text)
        page = await ana.post("/proof/check", {"proof": HOSTILE.replace("\x1b", "").replace("\x07", "")})
        assert "<script>alert" not in page.text


async def test_a_refused_field_is_named_as_on_its_page_and_leads_back(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        page = await ana.post("/proof/check", {"proof": "x", "key": "nonsense"})
        assert page.status_code == 400
        assert "Field “Public key” is not accepted" in page.text
        assert page.text.count("name+id+key") == 1
        assert '<a href="/proof/check">Back to the page</a>' in page.text
        page = await ana.get("/audit?decision=maybe")
        assert "Field “Decision” is not accepted" in page.text
        assert '<a href="/audit">Back to Audit</a>' in page.text
