"""A reader of events sees what it may see, misses nothing without a word, and is cut off with its rights."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from pgjit.api.caller import Caller, RoleTable
from pgjit.api.event_feed import EventFeed
from pgjit.api.event_stream import EventStream
from pgjit.api.refusals import BearerRefused, TooManyCalls
from pgjit.api.section import HttpRolesSection
from pgjit.grants.holder import HolderKey
from pgjit.identity.identity import IdentityKey
from tests.api.people import ADMINS, AUDITORS, NOW, PEOPLE, TENANT, People, policies


def line(seq: int, kind: str, owner: str = "requester", policy: str = "reviewed") -> bytes:
    identity: object = {"tid": TENANT, "oid": f"oid-{owner}", "token_id": "not shown", "display": owner}
    window: dict[str, object] = {}
    if kind == "session.ended":
        identity, window = f"{TENANT}/oid-{owner}", {"window": "w_1"}
    return json.dumps(
        {
            "v": 1,
            "seq": seq,
            "time": "2026-11-24T09:00:00Z",
            "type": kind,
            "identity": identity,
            "policy": policy,
            **window,
        },
        separators=(",", ":"),
    ).encode()


def caller(name: str) -> Caller:
    table = RoleTable(lambda: HttpRolesSection(auditor=(AUDITORS,), admin=(ADMINS,)), policies())
    return Caller(identity=PEOPLE[name], roles=table.roles_of(PEOPLE[name]), source="10.0.0.9:4", checked_at=NOW)


def stream(feed: EventFeed, name: str, *, seconds: float = 600, refused: bool = False) -> EventStream:
    async def check() -> Caller:
        if refused:
            raise BearerRefused
        return caller(name)

    return EventStream(feed, policies(), caller(name), check, seconds=seconds)


async def read(text: AsyncIterator[str], count: int) -> list[str]:
    """The first of a stream, after its `retry`."""
    async with asyncio.timeout(60):
        assert (await anext(text)).startswith("retry: ")
        events: list[str] = []
        while len(events) < count:
            events += [f"{each}\n\n" for each in (await anext(text)).split("\n\n") if each]
        return events


def kinds(events: list[str]) -> list[str]:
    return [part.removeprefix("event: ") for each in events for part in each.splitlines() if part.startswith("event")]


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("admin", ["request.made", "window.opened", "lock.set"]),
        ("auditor", ["request.made", "window.opened", "lock.set"]),
        ("requester", ["request.made"]),
        ("reviewer", ["request.made"]),
        ("nobody", []),
    ],
)
async def test_each_reader_sees_what_it_may_see(name: str, seen: list[str]) -> None:
    feed = EventFeed("n1", 7)
    text = stream(feed, name).text("n1:7")
    feed.take(8, [line(8, "request.made"), line(9, "execution"), line(10, "window.opened", "other", "others")])
    feed.take(11, [b'{"v":1,"seq":11,"time":"2026-11-24T09:00:00Z","type":"lock.set","reason":"x"}'])
    events = await read(text, len(seen))
    assert kinds(events) == seen
    assert "not shown" not in "".join(events)


@pytest.mark.parametrize(("name", "count"), [("admin", 2), ("auditor", 2), ("requester", 2), ("reviewer", 0)])
async def test_events_of_sessions_are_for_those_who_may_list_them(name: str, count: int) -> None:
    feed = EventFeed("n1")
    text = stream(feed, name).text("n1:0")
    feed.take(1, [line(1, "session.opened"), line(2, "session.ended"), line(3, "request.made")])
    everything = ["session.opened", "session.ended", "request.made"]
    assert kinds(await read(text, count + 1)) == everything[2 - count :]


async def test_an_event_is_written_once_however_many_readers_there_are() -> None:
    feed = EventFeed("n1")
    feed.take(1, [line(1, "request.made"), line(2, "window.opened")])
    events = [await read(stream(feed, name).text("n1:0"), 2) for name in ("admin", "auditor")]
    assert events[0] == events[1]
    first, second = feed.after(0) or [], feed.after(0) or []
    assert [each.seq for each in first] == [1, 2]
    assert all(one.data is other.data for one, other in zip(first, second, strict=True))


async def test_what_happens_just_after_an_event_is_sent_together() -> None:
    feed = EventFeed("n1")
    text = stream(feed, "admin").text("n1:0")
    feed.take(1, [line(1, "request.made")])
    assert kinds(await read(text, 1)) == ["request.made"], "the first one at once"
    following = asyncio.ensure_future(anext(text))
    await asyncio.sleep(0)
    feed.take(2, [line(2, "window.opened")])
    await asyncio.sleep(0)
    feed.take(3, [line(3, "window.ended")])
    async with asyncio.timeout(60):
        assert kinds([await following]) == ["window.opened", "window.ended"]


async def test_a_reader_goes_on_after_the_last_event_that_it_has_read() -> None:
    feed = EventFeed("n1")
    feed.take(1, [line(1, "request.made"), line(2, "request.ended")])
    [event] = await read(stream(feed, "admin").text("n1:1"), 1)
    assert event.startswith("id: n1:2\nevent: request.ended\n")


@pytest.mark.parametrize("last_id", ["n2:1", "n1:99", "n1:x", "", "n1:-1", "n1:²", "n1:0"])
async def test_a_reader_that_cannot_go_on_is_sent_gap(last_id: str) -> None:
    feed = EventFeed("n1", 1)
    feed.take(2, [line(2, "request.made")])
    assert kinds(await read(stream(feed, "admin").text(last_id), 1)) == ["gap"]


async def test_a_reader_that_is_too_slow_is_sent_gap() -> None:
    feed = EventFeed("n1")
    text = stream(feed, "admin").text("n1:0")
    assert (await anext(text)).startswith("retry: ")
    for seq in range(1, 2002):
        feed.take(seq, [line(seq, "request.made")])
    assert kinds([await anext(text)]) == ["gap"]


async def test_a_new_reader_waits_for_what_happens_next() -> None:
    feed = EventFeed("n1")
    feed.take(1, [line(1, "request.made")])
    reading = asyncio.create_task(read(stream(feed, "admin").text(None), 1))
    await asyncio.sleep(0)
    feed.take(2, [line(2, "window.opened")])
    assert kinds(await reading) == ["window.opened"]


async def test_a_quiet_stream_has_comments() -> None:
    assert await read(stream(EventFeed("n1"), "admin", seconds=0).text(None), 2) == [": still here\n\n"] * 2


async def test_a_stream_ends_with_the_rights_of_its_reader() -> None:
    text = stream(EventFeed("n1"), "admin", seconds=0, refused=True).text(None)
    assert await read(text, 1) == ['event: end\ndata: {"reference": "token-refused"}\n\n']
    assert [each async for each in text] == []


async def test_a_reader_that_lost_its_role_sees_no_more() -> None:
    feed = EventFeed("n1")

    async def check() -> Caller:
        feed.take(1, [line(1, "request.made")])
        return replace(caller("admin"), roles=frozenset())

    text = EventStream(feed, policies(), caller("admin"), check, seconds=0).text(None)
    assert await read(text, 2) == [": still here\n\n"] * 2


async def test_a_change_by_another_node_is_said_once_and_without_what_it_was() -> None:
    feed = EventFeed("n1")
    feed.note_change()
    text = stream(feed, "nobody").text(None)
    reading = asyncio.create_task(read(text, 1))
    await asyncio.sleep(0)
    for _ in range(3):
        feed.note_change()
    assert await reading == ["event: changed\ndata: {}\n\n"], "what was before the stream is no news"
    feed.note_change()
    following = asyncio.ensure_future(anext(text))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not following.done(), "not again at once"
    feed.take(1, [line(1, "request.made", owner="nobody")])
    assert kinds([await following]) == ["request.made"]


async def test_a_feed_that_closes_ends_its_streams() -> None:
    feed = EventFeed("n1")
    text = stream(feed, "admin", seconds=0).text(None)
    await read(text, 1)
    feed.close()
    assert [each async for each in text if not each.startswith(":")] == []


async def test_streams_of_a_caller_are_limited() -> None:
    feed = EventFeed("n1")
    with contextlib.ExitStack() as readers:
        for _ in range(4):
            readers.enter_context(feed.reading(HolderKey.of(PEOPLE["admin"])))
        with pytest.raises(TooManyCalls):
            readers.enter_context(feed.reading(HolderKey.of(PEOPLE["admin"])))
        readers.enter_context(feed.reading(HolderKey.of(PEOPLE["auditor"])))
    with feed.reading(HolderKey.of(PEOPLE["admin"])):
        pass


async def test_places_are_kept_for_those_who_read_everything() -> None:
    feed = EventFeed("n1")
    with contextlib.ExitStack() as readers:
        for number in range(120):
            key = HolderKey(IdentityKey(TENANT, f"agent-{number}"), None)
            readers.enter_context(feed.reading(key))
        with pytest.raises(TooManyCalls):
            readers.enter_context(feed.reading(HolderKey.of(PEOPLE["requester"])))
        readers.enter_context(feed.reading(HolderKey.of(PEOPLE["admin"]), reads_all=True))


async def test_a_stream_without_a_place_is_refused_before_it_begins(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        with contextlib.ExitStack() as readers:
            for _ in range(4):
                readers.enter_context(api.feed.reading(HolderKey.of(PEOPLE["admin"])))
            response = await api.get("events", "admin")
            assert (response.status_code, response.json()["reference"]) == (429, "too-many-calls")
            assert int(response.headers["retry-after"]) > 0
        api.feed.close()
        for _ in range(6):  # the place is given back
            assert (await api.get("events", "admin")).status_code == 200
