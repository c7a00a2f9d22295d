"""`pgjit audit`: reading and checking the journal. This is the group; each subcommand has a module of its own."""

from __future__ import annotations

from pgjit.cli.appearance import CommandHelp, command_group
from pgjit.cli.commands.audit_key import key
from pgjit.cli.commands.audit_list import list_
from pgjit.cli.commands.audit_prove import check_proof, prove
from pgjit.cli.commands.audit_redacted import check_value, redacted
from pgjit.cli.commands.audit_report import report
from pgjit.cli.commands.audit_show import replay, show, window
from pgjit.cli.commands.audit_sql import sql
from pgjit.cli.commands.audit_tail import tail
from pgjit.cli.commands.audit_verify import verify

__all__ = ["audit"]

audit = command_group(
    "Read the journal: who ran what, and what became of it. Check that it was not changed.",
    "Exit codes: 0 done, 1 failed or not complete, 2 wrong usage, 3 faults in a file, 4 a folder is unusable.",
)
audit.command("list", cls=CommandHelp)(list_)
audit.command("show", cls=CommandHelp)(show)
audit.command("window", cls=CommandHelp)(window)
audit.command("replay", cls=CommandHelp)(replay)
audit.command("sql", cls=CommandHelp)(sql)
audit.command("report", cls=CommandHelp)(report)
audit.command("tail", cls=CommandHelp)(tail)
audit.command("verify", cls=CommandHelp)(verify)
audit.command("prove", cls=CommandHelp)(prove)
audit.command("check-proof", cls=CommandHelp)(check_proof)
audit.command("redacted", cls=CommandHelp)(redacted)
audit.command("check-value", cls=CommandHelp)(check_value)
audit.add_typer(key, name="key")
