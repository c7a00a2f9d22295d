"""Writes and signs a journal until it is killed: python -m tests.audit.proof.killed_writer FOLDER

Prints each checkpoint that was published, as `pgjit audit verify --checkpoint` reads it. The journal and its sink are
the real ones; segments are small, so that many are closed.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from pgjit.audit.event import ServiceStarted
from pgjit.audit.journal import Journal
from pgjit.audit.proof.checkpointer import Checkpointer, CheckpointPace
from pgjit.audit.proof.sending import Outbox, StdoutSender
from pgjit.audit.rotation import Rotation
from pgjit.audit.sinks import SegmentSink
from tests.audit.proof.written_journal import SIGNER
from tests.run.waiting import a_while

AT = datetime(2026, 11, 29, tzinfo=UTC)
EVENT = ServiceStarted(at=AT, version="1", config_hash="x" * 64, policies=())


async def write(folder: Path) -> None:
    journal = Journal.open(SegmentSink(folder, "node/0"), rotation=Rotation(bytes=20_000))
    outbox = Outbox({"out": StdoutSender(lambda: AT)})
    pace = CheckpointPace(seconds=0.01, records=50)
    checkpointer = await Checkpointer.open(journal, folder, SIGNER, outbox, lambda: AT, pace=pace)
    journal.on_written.append(checkpointer.take)
    async with asyncio.TaskGroup() as group:
        group.create_task(outbox.run())
        group.create_task(checkpointer.run())
        while True:
            journal.append([EVENT] * 7)
            await a_while(0.001)  # as a journal grows: each round verifies the whole of it


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
