"""The people whom channels can reach, as the configuration lists them. Pure.

INVARIANT: who somebody is in Slack is what the configuration says. No name or address that Slack sends counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from pgjit.grants.request import Request
from pgjit.identity.identity import IdentityKey
from pgjit.notify.section import PersonSection

__all__ = ["People"]


class People:
    """`people`: by the name that the configuration gives them, which is shown in records."""

    def __init__(self, people: Mapping[str, PersonSection]) -> None:
        self._names = {person.key: name for name, person in people.items()}
        self._people = tuple(people.values())

    def name_of(self, person: PersonSection) -> str:
        return self._names[person.key]

    def of_key(self, key: IdentityKey) -> PersonSection | None:
        return next((each for each in self._people if each.key == key), None)

    def of_slack(self, user: str) -> PersonSection | None:
        return next((each for each in self._people if each.slack == user), None)

    def to_notify(self, request: Request) -> list[PersonSection]:
        """The approvers of the request who want to hear of each one. Whether they may approve is decided later."""
        groups = set(request.review.groups)
        return [
            each
            for each in self._people
            if not each.quiet and not groups.isdisjoint(each.group_ids) and each.key not in request.own
        ]
