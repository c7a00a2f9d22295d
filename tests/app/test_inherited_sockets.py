"""The sockets that systemd or a supervisor passes on: who gets which, and what is refused."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pgjit.app.inherited_sockets import InheritedSockets, inherited_sockets, sockets_of
from pgjit.errors import ServerUnavailable
from tests.run.rows import table

ME = {"LISTEN_PID": str(os.getpid())}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listening(stack: ExitStack, *, family: socket.AddressFamily = socket.AF_INET, place: object = None) -> int:
    """The descriptor of a listening socket, as a process that was started with it has it."""
    found = socket.socket(family, socket.SOCK_STREAM)
    found.bind(("127.0.0.1", 0) if place is None else place)  # type: ignore[arg-type]
    found.listen()
    os.set_inheritable(found.fileno(), True)
    return found.detach()


def fault_of(*descriptors: tuple[int, str]) -> str:
    with pytest.raises(ServerUnavailable) as refused:
        sockets_of(descriptors)
    assert refused.value.reference == "inherited-sockets"
    return refused.value.detail or ""


def test_each_socket_goes_where_its_name_says_and_to_no_child(stack: ExitStack, tmp_path: Path) -> None:
    given = [(listening(stack), name) for name in ("listen", "", "pgjit.socket", "unknown", "api")]
    given.append((listening(stack, family=socket.AF_UNIX, place=str(tmp_path / "admin")), "admin"))
    found = sockets_of(given)
    stack.callback(found.close)
    assert [each.fileno() for each in found.listen] == [number for number, _ in given[:4]]
    assert found.api is not None
    assert found.admin is not None
    assert (found.api.fileno(), found.admin.fileno()) == (given[4][0], given[5][0])
    assert bool(found)
    for number, _ in given:
        assert not os.get_inheritable(number)
        assert not os.get_blocking(number)


def test_what_cannot_serve_is_refused_with_every_fault(stack: ExitStack, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as opened:
        file = opened.fileno()
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()
        silent = socket.socket().detach()
        unix = listening(stack, family=socket.AF_UNIX, place=str(tmp_path / "sessions"))
        fault = fault_of(
            (file, "listen"), (datagrams, "listen"), (silent, "listen"), (unix, "listen"), (9999, "api"),
            (4, "sessions"),
        )  # fmt: skip
    assert fault.split("; ") == [
        f"descriptor {file} (listen) is no socket",
        f"descriptor {datagrams} (listen) is no stream socket",
        f"descriptor {silent} (listen) does not listen: is `Accept=no` set in the socket unit?",
        f"descriptor {unix} (listen) is of family AF_UNIX, which this listener cannot serve",
        "descriptor 9999 (api) is not open",
        "descriptor 4 has the name `sessions`, which is none of listen, admin, api",
    ]
    for number in (datagrams, silent, unix):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


def test_there_is_one_admin_port_and_one_api(stack: ExitStack) -> None:
    given = [(listening(stack), name) for name in ("admin", "admin", "api", "api")]
    assert fault_of(*given) == "2 sockets have the name admin; 2 sockets have the name api"


@table(
    "given",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {**ME, "LISTEN_FDS": "0"},
        {**ME, "LISTEN_FDS": "0", "LISTEN_FDNAMES": ""},
        ME,
    ],
    ids=str,
)
def test_sockets_of_another_process_are_left_alone(given: dict[str, str]) -> None:
    environment = {**given, "PATH": "/bin"}
    assert inherited_sockets(environment) == InheritedSockets()
    assert environment == {"PATH": "/bin"}, "no child process reads them as its own"


@table(
    ("given", "fault"),
    [
        ({**ME, "LISTEN_FDS": "two"}, "LISTEN_FDS is `two`, not a number up to 64"),
        ({**ME, "LISTEN_FDS": "-1"}, "LISTEN_FDS is `-1`, not a number up to 64"),
        ({**ME, "LISTEN_FDS": "٣"}, "LISTEN_FDS is `٣`, not a number up to 64"),
        ({**ME, "LISTEN_FDS": "65"}, "LISTEN_FDS is `65`, not a number up to 64"),
        ({"LISTEN_PID": "", "LISTEN_FDS": "1"}, "LISTEN_PID is ``, not a number up to 2147483648"),
        ({**ME, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "listen"}, "LISTEN_FDNAMES has 1 names for 2 sockets"),
    ],
    ids=str,
)
def test_variables_that_make_no_sense_are_faults(given: dict[str, str], fault: str) -> None:
    with pytest.raises(ServerUnavailable) as refused:
        inherited_sockets(dict(given))
    assert refused.value.detail == fault
