"""The second act of the demo: its own commands against a real API, with every step as expected."""

from __future__ import annotations

import io
import subprocess
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from pgjit.demo import by_hand, review_act
from pgjit.demo.database import DemoDatabase
from pgjit.demo.stage import Stage
from pgjit.demo.story import decision_lines
from pgjit.demo.world import World
from tests.e2e.worlds import change, records
from tests.run.waiting import until_it_holds

CONFIG = {"api": {"roles": {"admin": [review_act.ADMINS]}}}


async def test_a_person_approves_and_revokes_by_the_command_line(database: DemoDatabase, tmp_path: Path) -> None:
    printed = io.StringIO()
    async with World(folder=tmp_path, database=database, config=CONFIG) as world:
        person = review_act.add_person(world)
        stage = Stage(world, Console(file=printed, width=80))
        await review_act.ReviewAct(stage, person).play()
        await change(database, "DELETE FROM notes WHERE note LIKE 'order 17%'")
        assert stage.failures == [], printed.getvalue()

        async def revoked() -> list[dict[str, object]]:
            return records(world, "window.revoked")

        await until_it_holds(revoked)
        lines = [line[9:] for line in decision_lines(records(world))]
        # The record of a request comes by the store's outbox: before or after that of the window that it opened.
        lines[3:5] = sorted(lines[3:5], reverse=True)
        assert lines == [
            "request.made     migration-agent: note on order 17, ticket OPS-4711",
            "request.verdict  ana@example.com: approved, go ahead",
            "request.ended    migration-agent: approved",
            "window.opened    migration-agent: note on order 17, ticket OPS-4711",
            "request.ended    migration-agent: used",
            "window.revoked   ana@example.com: wrong table",
            "window.ended     pgjit: revoked",
        ]
        [session] = [each for each in records(world, "session.ended") if each["reason"] == "revoked"]
        assert isinstance(session["proof"], dict)
        assert session["proof"]["gone"]

        by_hand.write_files(world, person)
        shown = "pgjit --version && command -v psql && echo $PGJIT_TOKEN $AZURE_CLIENT_SECRET"
        for name in ("agent", "person"):
            played = subprocess.run(
                ["sh", "-c", f". {tmp_path}/{name}.sh && {shown}"], capture_output=True, text=True, timeout=120
            )
            version, psql, secret = played.stdout.splitlines()
            assert (played.returncode, version[:6], psql) == (0, "pgjit ", str(tmp_path / "bin" / "psql"))
            assert len(secret) > 20
        invitation = by_hand.invitation(world, timedelta(seconds=10))
        assert "opens again after 10 s" in invitation
