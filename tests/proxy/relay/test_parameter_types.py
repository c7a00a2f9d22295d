"""The types of parameters, for the records: those of the Parse, then those that the server describes."""

from __future__ import annotations

from pgjit.audit.event import Execution
from pgjit.proxy.relay.parameter_types import MOST_TYPES, ParameterTypes
from pgwire.messages import extended
from pgwire.reader import message
from tests.fakes.both_ends import BothEnds

PARSE = extended.encode_parse(extended.Parse(b"a", b"select", (20,)))
DESCRIBE = extended.encode_target(b"D", extended.DescribeTarget("S", b"a"))
BIND = extended.encode_bind(extended.Bind(b"", b"a", (1,), (b"\0\0\0\7",), ()))
EXECUTE = extended.encode_execute(extended.Execute(b"", 0))


def types_at_execute(*described: bytes) -> tuple[int, ...]:
    ends = BothEnds()
    ends.client(PARSE, DESCRIBE, extended.sync())
    ends.server(extended.parse_complete(), *described, extended.no_data(), message(b"Z", b"I"))
    ends.client(BIND, EXECUTE, extended.sync())
    [event] = [each for each in ends.events if isinstance(each, Execution)]
    assert event.parameters is not None
    return event.parameters.types


def test_the_servers_description_is_better_than_the_parse() -> None:
    assert types_at_execute() == (20,)
    assert types_at_execute(message(b"t", b"\0\1\0\0\0\x17")) == (23,)


def test_only_so_many_are_noted() -> None:
    types = ParameterTypes()
    types.note([23] * 65535)
    assert len(list(types)) == MOST_TYPES
