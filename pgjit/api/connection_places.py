"""How many HTTP connections are open at once: in all, and of one address. Pure.

Decides which connection is closed when there are too many. A connection counts from accept to close. Over one that
has carried a call with an accepted token, nobody else's connection is preferred: beyond a limit the oldest connection
without such a call is closed. So those who only hold connections open cannot keep out those who have a token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

__all__ = ["ConnectionPlaces", "Place"]


class Place:
    """The place of one connection. `end` closes it at once."""

    def __init__(self, network: str) -> None:
        self.network = network
        self.accepted = False  # whether a call with an accepted token came over it
        self.ending = False
        self.end: Callable[[], object] = lambda: None


class ConnectionPlaces:
    """`kept`: how many of `most` are only for connections with accepted calls, and for new ones."""

    def __init__(self, most: int, most_of_address: int, *, kept: int = 0) -> None:
        self._most = most
        self._most_of_address = most_of_address
        self._kept = kept
        self._places: dict[Place, None] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._places)

    def enter(self, network: str) -> Place | None:
        """A place for a new connection; None if it must be closed. INVARIANT: never more than `most`."""
        of_address = [each for each in self._places if each.network == network and not each.ending]
        if len(of_address) >= self._most_of_address and not _end_oldest(of_address):
            return None
        lasting = [each for each in self._places if not each.ending]
        if len(lasting) >= self._most - self._kept:
            _end_oldest(_of_busiest(lasting))
        if len(self._places) >= self._most:
            return None
        place = Place(network)
        self._places[place] = None
        return place

    def leave(self, place: Place) -> None:
        """The connection is closed. May be called twice."""
        self._places.pop(place, None)


def _of_busiest(places: list[Place]) -> list[Place]:
    """The places of the address that has most of those without an accepted call."""
    counts = Counter(each.network for each in places if not each.accepted)
    return [each for each in places if counts and each.network == counts.most_common(1)[0][0]]


def _end_oldest(places: list[Place]) -> bool:
    """End the oldest without an accepted call. False if there is none."""
    for place in places:
        if not place.accepted:
            place.ending = True
            place.end()
            return True
    return False
