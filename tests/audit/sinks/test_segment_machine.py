"""Any order of appends, rotations, compressions, crashes and restarts: every line that was appended is kept, once."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pgjit.audit.keeping.compression import compress
from pgjit.audit.segments import list_segments
from pgjit.audit.sinks import SegmentSink
from tests.run.journal_text import journal_lines

LINES = st.lists(st.text("ab ", max_size=9), min_size=1, max_size=4)


class SegmentMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="pgjit-segments-"))
        self.folder = self.root / "journal"
        self.lines: list[str] = []
        self.sink = SegmentSink(self.folder)
        self.sink.open()

    def teardown(self) -> None:
        self.sink.close()
        shutil.rmtree(self.root)

    @rule(lines=LINES)
    def append(self, lines: list[str]) -> None:
        self.sink.append("".join(f"{line}\n" for line in lines).encode())
        self.lines += lines

    @rule()
    def rotate(self) -> None:
        self.sink.rotate()

    @rule()
    def flush(self) -> None:
        for segment in self.sink.flush():
            assert not segment.open

    @rule()
    def compress(self) -> None:
        for segment in list_segments(self.folder):
            if not segment.open and not segment.compressed:
                compress(segment)

    @rule()
    def move_away_and_back(self) -> None:
        self.folder.rename(self.root / "away").rename(self.folder)
        self.sink.probe()

    @rule(torn=st.text("ab ", max_size=9))
    def crash(self, torn: str) -> None:
        """The process dies in the middle of an append."""
        self.sink.close()
        with list_segments(self.folder)[-1].path.open("ab") as file:
            file.write(torn.encode())
        self.sink = SegmentSink(self.folder)
        opened = self.sink.open()
        assert (opened.last or b"").decode() == (f"{self.lines[-1]}\n" if self.lines else "")
        if torn:
            assert opened.torn is not None
            assert opened.torn.line == len(self.lines)
            self.append(["torn"])

    @invariant()
    def every_line_is_kept_once(self) -> None:
        assert journal_lines(self.folder) == self.lines
        assert self.sink.lines == len(self.lines)
        assert [line.decode().rstrip("\n") for line in self.sink.lines_back()] == self.lines[::-1]


TestSegmentMachine = SegmentMachine.TestCase
TestSegmentMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
