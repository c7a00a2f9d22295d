"""Who only holds connections open cannot keep out those who have a token."""

from __future__ import annotations

from pgjit.api.connection_places import ConnectionPlaces, Place


class Connections:
    """Connections whose `end` is noted, and done at once or later."""

    def __init__(self, most: int, most_of_address: int, *, kept: int = 0, slow: bool = False) -> None:
        self.places = ConnectionPlaces(most, most_of_address, kept=kept)
        self.ended: list[Place] = []
        self._slow = slow

    def open(self, network: str, *, accepted: bool = False) -> Place | None:
        place = self.places.enter(network)
        if place is not None:
            place.accepted = accepted
            place.end = lambda: self._end(place)
        return place

    def _end(self, place: Place) -> None:
        self.ended.append(place)
        if not self._slow:
            self.places.leave(place)


def test_beyond_the_limit_of_an_address_its_oldest_connection_without_a_token_is_closed() -> None:
    connections = Connections(10, 3)
    other = connections.open("b")
    kept = connections.open("a", accepted=True)
    idle = [connections.open("a") for _ in range(2)]
    assert connections.open("a") is not None
    assert connections.ended == idle[:1]
    assert other not in connections.ended
    assert kept not in connections.ended


def test_nobody_is_closed_for_a_connection_of_an_address_whose_places_are_used() -> None:
    connections = Connections(10, 3)
    for _ in range(3):
        connections.open("a", accepted=True)
    assert connections.open("a") is None
    assert connections.open("b") is not None
    assert connections.ended == []


def test_beyond_the_limit_in_all_the_busiest_address_gives_way() -> None:
    connections = Connections(8, 8, kept=2)
    single = connections.open("b")
    crowd = [connections.open("a") for _ in range(5)]
    assert connections.open("c") is not None
    assert connections.ended == crowd[:1]
    assert single not in connections.ended


def test_the_kept_places_are_for_new_connections_while_the_others_have_tokens() -> None:
    connections = Connections(8, 8, kept=2)
    for _ in range(8):
        assert connections.open("a", accepted=True) is not None
    assert connections.open("b") is None


def test_there_are_never_more_than_the_limit_while_closed_ones_go_away() -> None:
    connections = Connections(8, 8, kept=2, slow=True)
    places = [connections.open(str(number)) for number in range(30)]
    assert len(connections.places) == 8
    for place in places:
        if place is not None:
            connections.places.leave(place)
            connections.places.leave(place)
    assert len(connections.places) == 0
