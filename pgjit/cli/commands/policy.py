"""`pgjit policy`: the group of commands that check, test and explain policies. None of them opens a connection."""

from __future__ import annotations

from pgjit.cli.appearance import CommandHelp, command_group
from pgjit.cli.commands.policy_check import policy_check
from pgjit.cli.commands.policy_explain import policy_explain
from pgjit.cli.commands.policy_rules import policy_rules
from pgjit.cli.commands.policy_test import policy_test

__all__ = ["policy"]

policy = command_group(
    "Check, test and explain policies, and list the rules. Opens no connection.",
)
policy.command("check", cls=CommandHelp)(policy_check)
policy.command("test", cls=CommandHelp)(policy_test)
policy.command("explain", cls=CommandHelp)(policy_explain)
policy.command("rules", cls=CommandHelp)(policy_rules)
