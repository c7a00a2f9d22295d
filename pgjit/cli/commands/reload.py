"""`pgjit reload`: a node reads its configuration again. Prints what changed, or every fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgjit.cli.api_command import ApiOptions, api_command
from pgjit.cli.status import Status

if TYPE_CHECKING:
    from pgjit.cli.api_client import ApiProblem

__all__ = ["reload"]


@api_command
def reload(*, api: ApiOptions) -> int:
    """Have the node that answers read its configuration, policies, certificates and secrets again.

    All or nothing: with a fault in a file nothing changes, and the exit code is 3. Windows may get shorter, never
    longer; those of a deleted policy end. SIGHUP does the same.
    """
    import json

    from pgjit.cli.api_client import ApiProblem

    with api.connect() as client:
        try:
            result = client.post("reload", body={})
        except ApiProblem as problem:
            if not problem.faults:
                raise
            return _refused(problem, as_json=api.as_json)
    if api.as_json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        for line in _lines(result):
            print(line)
    return Status.OK


def _refused(problem: ApiProblem, *, as_json: bool) -> int:
    import json
    import sys

    from pgjit.audit.plain_text import plain
    from pgjit.cli.placed import as_fields

    if as_json:
        faults = [as_fields(each) for each in problem.faults]
        print(json.dumps({"reloaded": False, "faults": faults}, indent=2, ensure_ascii=False))
    else:
        print(f"error: {problem.message} [{problem.reference}]", file=sys.stderr)
        for fault in problem.faults:
            print(f"  {plain(fault)}", file=sys.stderr)
    return Status.INVALID


def _lines(result: dict[str, Any]) -> list[str]:
    from pgjit.audit.plain_text import plain

    lines = []
    for kind, one in (("policies", "policy"), ("connections", "connection")):
        for what in ("added", "changed", "removed"):
            lines += [f"{one} {name} is {what}" for name in result[kind][what]]
    lines += [f"{key} is changed" for key in result["keys"]]
    if not lines:
        lines.append("nothing is different")
    for window in result["windows"]:
        end = "ends at" if window["reason"] == "ttl" else f"ends ({window['reason']}):"
        lines.append(f"window {window['id']} under policy {window['policy']} {end} {window['ends_at']}")
    if following := result["sessions_following"]:
        lines.append(f"{following} open sessions are judged by the new rules")
    if leaving := result["sessions_leaving"]:
        lines.append(f"{leaving} open sessions have to log in again")
    lines += [f"needs a restart: {key}" for key in result["restart"]]
    lines += [f"warning: {warning}" for warning in result["warnings"]]
    return [plain(line) for line in lines]
