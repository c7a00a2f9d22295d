"""What is sent in place of a refused message."""

from __future__ import annotations

from pgjit.errors import StatementRefused
from pgjit.proxy.relay.rejection import Rejection, rejected_parse, rejected_query
from pgwire.messages.extended import Parse, decode_parse
from pgwire.messages.query import decode_error, decode_query

REJECTION = Rejection(b"pgjit_deny_1", StatementRefused("no `delete` here", reference="statement-kind", position=7))


def test_the_text_that_is_sent_is_the_token_alone() -> None:
    assert decode_query(rejected_query(REJECTION)[5:]) == b"pgjit_deny_1"
    assert decode_parse(rejected_parse(REJECTION, b"p1")[5:]) == Parse(b"p1", b"pgjit_deny_1", ())
    assert decode_parse(rejected_parse(REJECTION, b"")[5:]).name == b""


def test_in_place_of_another_message_the_name_is_one_that_nobody_uses() -> None:
    assert decode_parse(rejected_parse(REJECTION)[5:]).name == b"pgjit_deny_1"


def test_the_answer_is_known_by_the_token() -> None:
    assert REJECTION.is_answer(b'E....Msyntax error at or near "pgjit_deny_1"\0')
    assert not REJECTION.is_answer(b'E....Msyntax error at or near "pgjit_deny_2"\0')


def test_the_client_reads_our_error() -> None:
    fields = decode_error(REJECTION.response()[5:])
    assert fields == {
        "S": "ERROR",
        "V": "ERROR",
        "C": "42501",
        "M": "no `delete` here",
        "P": "7",
        "R": "pgjit:statement-kind",
    }
