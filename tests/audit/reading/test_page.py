"""Each command of docs/audit.md, run on a small journal; `verify` has tests of its own."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pgjit.audit.reading.views import VIEWS
from pgjit.cli.commands import audit_tail
from pgjit.cli.run import run
from pgjit.cli.status import Status
from tests.audit.reading.conftest import WrittenJournal

PAGE = (Path(__file__).parents[3] / "docs" / "audit.md").read_text()
COMMANDS = [each.split("   #")[0] for each in re.findall(r"^    pgjit (audit .*)$", PAGE, re.MULTILINE)]


@pytest.fixture
def place(written: WrittenJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration that names the journal."""

    def no_more(_seconds: float) -> None:
        raise KeyboardInterrupt

    (tmp_path / "pgjit.yaml").write_text(f"journal: {{folder: '{written.folder}'}}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGJIT_AUDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(audit_tail, "pause", no_more)
    return tmp_path


def test_each_command_of_the_page_answers(
    written: WrittenJournal, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    window = written.of("window.opened")[0]["window"]["id"]
    elsewhere = ("/var/lib", "s3://", "verify")  # other machines' journals; `test_reader.py` reads from a store
    commands = [each for each in COMMANDS if not any(word in each for word in elsewhere)]
    assert len(commands) >= 14
    for each in commands:
        words = shlex.split(each.replace("w_4qqs6obnvflaz3xl", window))
        # The journal is older than what `audit tail --since 1h` prints.
        prints = "--html" not in words and not ("tail" in words and "--since" in words)
        assert (each, run(words), capsys.readouterr().out != "") == (each, Status.OK, prints)
    assert (place / "november.html").exists()


def test_the_page_has_every_view() -> None:
    for view in VIEWS:
        assert f"| `{view}` |" in PAGE
