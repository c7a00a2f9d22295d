"""Writes and signs a journal until it is killed: python -m tests.audit.proof.killed_writer FOLDER

Prints each checkpoint that was published, as `pgjit audit verify --checkpoint` reads it. The journal and its sink are
the real ones; segments are small, so that many are closed. Every seventh record has a kept result.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from pgjit.audit.event import Outcome, ServiceStarted
from pgjit.audit.journal import Journal
from pgjit.audit.proof.checkpointer import Checkpointer, CheckpointPace
from pgjit.audit.proof.sending import Outbox, StdoutSender
from pgjit.audit.results.capture import ResultCapture
from pgjit.audit.rotation import Rotation
from pgjit.audit.sinks import SegmentSink
from pgjit.clock import nanoseconds_of
from pgjit.policy.policy import ResultCaps
from pgwire.messages.results import encode_data_row
from tests.audit.audit_events import CONTEXT
from tests.audit.proof.written_journal import SIGNER
from tests.run.waiting import a_while

AT = datetime(2026, 11, 29, tzinfo=UTC)
ROW = encode_data_row((b"kept",))
EVENT = ServiceStarted(at=AT, version="1", config_hash="x" * 64, policies=())


def kept_outcome(sink: SegmentSink) -> Outcome:
    capture = ResultCapture("s_1/1", ResultCaps(), None, None)
    capture.add(ROW, 1)
    capture.reference = sink.results.keep(capture.line())
    return Outcome(
        context=CONTEXT, number=1, at=nanoseconds_of(AT), ended="completed", command=None, rows=1, bytes=15,
        sqlstate=None, duration_us=1, result=capture,
    )  # fmt: skip


async def write(folder: Path) -> None:
    sink = SegmentSink(folder, "node/0")
    journal = Journal.open(sink, rotation=Rotation(bytes=20_000))
    outbox = Outbox({"out": StdoutSender(lambda: AT)})
    pace = CheckpointPace(seconds=0.01, records=50)
    checkpointer = await Checkpointer.open(journal, folder, SIGNER, outbox, lambda: AT, pace=pace)
    journal.on_written.append(checkpointer.take)
    async with asyncio.TaskGroup() as group:
        group.create_task(outbox.run())
        group.create_task(checkpointer.run())
        while True:
            journal.append([*[EVENT] * 6, kept_outcome(sink)])
            await a_while(0.001)  # as a journal grows: each round verifies the whole of it


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
