from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from pgjit.audit.proof.checkpoint import cosigned_at
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.stored_tree import StoredTree
from pgjit.audit.proof.tree import consistency_proof
from pgjit.audit.proof.witness import NotWitnessed, Witness
from tests.audit.proof.journals import KEY, make_journal, record, sign
from tests.audit.proof.witnessing import URL, WITNESS, WitnessServer

LINES = list(map(record, range(1, 28)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_journal(tmp_path)
    return tmp_path


def of_journal(folder: Path, client: httpx.AsyncClient) -> Witness:
    def proof(old: int, size: int) -> list[bytes]:
        return consistency_proof(old, size, StoredTree(JournalFiles([folder])).subtrees(size, old))

    return Witness(URL, WITNESS, client, proof)


async def test_it_signs_each_checkpoint_that_extends_the_last(folder: Path) -> None:
    server = WitnessServer(KEY)
    witness = of_journal(folder, server.client)
    for size in (3, 10, 10, 13, 20, 21, 27):
        signed = sign(LINES[:size])
        cosigned_at(signed.note.text, await witness.cosign(signed), WITNESS)
        assert server.seen.size == size
    assert server.calls == 7


async def test_after_a_restart_the_witness_says_what_it_has_seen(folder: Path) -> None:
    server = WitnessServer(KEY)
    await of_journal(folder, server.client).cosign(sign(LINES[:13]))
    await of_journal(folder, server.client).cosign(sign(LINES))
    assert (server.calls, server.seen.size) == (3, 27)


async def test_a_witness_that_has_seen_another_tree_does_not_sign(folder: Path) -> None:
    server = WitnessServer(KEY)
    await of_journal(folder, server.client).cosign(sign([b"another", *LINES[1:13]]))
    with pytest.raises(NotWitnessed, match="does not accept the proof that the journal was only extended"):
        await of_journal(folder, server.client).cosign(sign(LINES))
    with pytest.raises(NotWitnessed, match="has seen another tree of this journal"):
        await of_journal(folder, server.client).cosign(sign(LINES[:13]))
    with pytest.raises(NotWitnessed, match="it has seen 13 lines, and this journal has 4"):
        await of_journal(folder, server.client).cosign(sign(LINES[:4]))


async def test_a_witness_that_does_not_know_the_journal_does_not_sign(folder: Path) -> None:
    server = WitnessServer(KEY._replace(name="another"))
    with pytest.raises(NotWitnessed, match="does not know the journal's origin"):
        await of_journal(folder, server.client).cosign(sign(LINES))
    server = WitnessServer(KEY._replace(public=WITNESS.public))
    with pytest.raises(NotWitnessed, match="does not accept the journal's key"):
        await of_journal(folder, server.client).cosign(sign(LINES))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(200, text="— witness.example/w1 IDJKvgAAAABlU/EA\n"), "has a wrong length"),
        (httpx.Response(200, text="— another IDJKvgAAAABlU/EA\n"), "no signature of its key"),
        (httpx.Response(200, text="nothing"), "its answer is rejected"),
        (httpx.Response(200, text=""), "its answer is rejected"),
        (httpx.Response(200, text="x" * 70000), "too long"),
        (httpx.Response(500), "it answered 500"),
        (httpx.Response(409, headers={"Content-Type": "text/x.tlog.size"}, text="x\n"), "another tree"),
        (httpx.Response(409, headers={"Content-Type": "text/x.tlog.size"}, text="0\n"), "another tree"),
        (httpx.ConnectError("refused"), "no answer: ConnectError"),
    ],
)
async def test_an_answer_that_is_no_cosignature_is_not_taken(
    folder: Path, answer: httpx.Response | Exception, reason: str
) -> None:
    def answering(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    witness = of_journal(folder, httpx.AsyncClient(transport=httpx.MockTransport(answering)))
    with pytest.raises(NotWitnessed, match=reason):
        await witness.cosign(sign(LINES))


async def test_without_the_hashes_that_a_proof_needs_it_is_not_asked(folder: Path) -> None:
    server = WitnessServer(KEY)
    await of_journal(folder, server.client).cosign(sign(LINES[:4]))
    for path in folder.glob("0*00.jsonl"):
        path.unlink()  # by retention
    await of_journal(folder, server.client).cosign(sign(LINES[:4]))
    with pytest.raises(NotWitnessed, match="no proof from line 4 can be made"):
        await of_journal(folder, server.client).cosign(sign(LINES))
