"""What stood in a redacted record: which members there are, their salts, and whether a value is the one. Pure but for
the file of the salt key.

Decides nothing about who may ask. Who has a value and its salt can prove it to anybody who has the record.
Who has the salt alone can only try values.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import orjson

from pgjit.audit.redaction.commitment import SALT_BYTES, commitment_holds
from pgjit.audit.redaction.salts import read_salt_key

__all__ = ["NotRedacted", "RedactedMembers", "member_salts", "redacted_members"]


class NotRedacted(ValueError):
    """The line has nothing that was redacted, or is no record; the text says which."""


@dataclass(frozen=True, slots=True)
class RedactedMembers:
    execution: str
    salts: str  # the name of the salt key
    commitments: dict[str, bytes]  # by member

    def holds(self, member: str, salt: bytes, value: str) -> bool:
        """Whether `value` stood in `member`. Raises NotRedacted for a member that is not redacted."""
        if member not in self.commitments:
            raise NotRedacted(
                f"`{member}` is not redacted in this record; redacted are {', '.join(self.commitments)}"
            )
        if len(salt) != SALT_BYTES:
            raise NotRedacted(f"a salt has {2 * SALT_BYTES} hexadecimal digits, not {2 * len(salt)}")
        return commitment_holds(self.commitments[member], member, salt, value.encode("utf-8", "backslashreplace"))


def redacted_members(line: bytes) -> RedactedMembers:
    """What is redacted in a record, from its line as it was written. Raises NotRedacted."""
    try:
        record = orjson.loads(line)
        redacted = record["redacted"]
        values = {each["member"]: base64.b64decode(each["commitment"], validate=True) for each in redacted["values"]}
        return RedactedMembers(record["execution"], redacted["salts"], values)
    except KeyError:
        raise NotRedacted("nothing in this record is redacted") from None
    except (ValueError, TypeError):
        raise NotRedacted("this is no record of a journal") from None


def member_salts(folder: Path, members: RedactedMembers) -> dict[str, bytes] | None:
    """The salt of each member, by the salt key in the journal's folder. None: the key was removed. Raises OSError."""
    key = read_salt_key(folder, members.salts)
    return None if key is None else {member: key.salt(members.execution, member) for member in members.commitments}
