"""`kill -9` under load: what was published holds afterwards, and the journal goes on."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from pgjit.audit.proof.checkpoint_log import read_checkpoints
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.note import VerifierKey
from pgjit.audit.proof.verification import verify
from tests.audit.proof.written_journal import SIGNER
from tests.run.processes import own

pytestmark = pytest.mark.live


def kill_and_check(folder: Path, rounds: int) -> None:
    chosen, published, before = random.Random(7), folder.with_name("published"), 0
    for _ in range(rounds):
        with own(sys.executable, "-m", "tests.audit.proof.killed_writer", folder, stdout=PIPE) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(chosen.randrange(1, 20))]
            writer.kill()
            lines += writer.stdout.readlines()
            writer.wait(60)
        with published.open("a") as file:
            file.writelines(line for line in lines if line.endswith("\n"))
        files = JournalFiles([folder])
        key = VerifierKey.of(str(files.origin), SIGNER.public)
        found = verify(files, key.name, [key], read_checkpoints(published), processes=1)
        assert found.findings == ()
        assert found.signed > before
        before = found.signed
    assert found.segments > 1
    assert list(folder.glob("*.results"))


def test_a_killed_writer_leaves_what_it_published(tmp_path: Path) -> None:
    kill_and_check(tmp_path / "journal", 3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_kills(tmp_path: Path) -> None:
    kill_and_check(tmp_path / "journal", 50)
