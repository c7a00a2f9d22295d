"""The policy files on the disk of this node, beside what is in force. It reads files: call it in a thread.

Decides whether a file is as it was when its policy was put in force. What is in force was read before, by the start
or a reload: a file that was changed since decides nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pgjit.document import MAX_BYTES
from pgjit.policy.load import policy_files
from pgjit.policy.policy import Policy

__all__ = ["FileState", "PolicyFileState", "state_of", "states_of"]


class FileState(StrEnum):
    IN_FORCE = "in-force"
    CHANGED = "changed"  # since it was read: the earlier text is in force
    MISSING = "missing"  # its policy is in force all the same
    UNREADABLE = "unreadable"
    NEW = "not-in-force"  # no policy that is in force was read from it


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFileState:
    """`version_on_disk`: a hash of the file's bytes, like the version of a policy; None if it cannot be read."""

    source: str
    policy: str | None
    version: str | None  # that is in force
    version_on_disk: str | None
    state: FileState
    fault: str | None = None  # why it cannot be read


def state_of(policy: Policy) -> PolicyFileState:
    version, fault = _version(Path(policy.source))
    if version is None:
        state = FileState.MISSING if fault is None else FileState.UNREADABLE
    else:
        state = FileState.IN_FORCE if version == policy.version else FileState.CHANGED
    return PolicyFileState(
        source=policy.source,
        policy=policy.name,
        version=policy.version,
        version_on_disk=version,
        state=state,
        fault=fault,
    )


def states_of(policies: Iterable[Policy]) -> list[PolicyFileState]:
    """The states of the files of `policies`, and of the files beside them that are not in force; ordered by path."""
    known = {policy.source: policy for policy in policies}
    folders = {Path(source).parent for source in known}
    beside = {str(path) for folder in folders for path in policy_files(folder)} - known.keys()
    found = [state_of(policy) for policy in known.values()] + [_new(source) for source in beside]
    return sorted(found, key=lambda each: each.source)


def _new(source: str) -> PolicyFileState:
    version, fault = _version(Path(source))
    return PolicyFileState(
        source=source, policy=None, version=None, version_on_disk=version, state=FileState.NEW, fault=fault
    )


def _version(path: Path) -> tuple[str | None, str | None]:
    """The hash of its bytes, and why it cannot be read. Neither: there is no such file."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None, None
    except OSError as fault:
        return None, fault.strerror or type(fault).__name__
    if len(content) > MAX_BYTES:
        return None, f"it is larger than {MAX_BYTES} bytes"
    return hashlib.sha256(content).hexdigest(), None
