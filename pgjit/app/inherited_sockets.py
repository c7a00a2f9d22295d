"""Sockets that were open before this process began: of systemd's socket activation, or of a supervisor.

Decides which listener gets which socket, and which sockets cannot be used. The other process keeps its own reference:
connections that nobody has accepted yet wait there for the next process, so a restart loses none.

A name says what a socket is for: `listen` (sessions; there may be several), `admin` or `api`, as the sections of the
configuration. A socket without a name, or with the name of its systemd unit, is for sessions.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass

from pgjit.errors import ServerUnavailable

__all__ = ["NAMES", "InheritedSockets", "inherited_sockets", "sockets_of"]

_FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START: they follow standard input, output and error."""
NAMES = ("listen", "admin", "api")
_MOST = 64
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


@dataclass(frozen=True, slots=True)
class InheritedSockets:
    """Each is listening already. What is missing is opened by its address in the configuration."""

    listen: tuple[socket.socket, ...] = ()
    admin: socket.socket | None = None
    api: socket.socket | None = None

    def __bool__(self) -> bool:
        return bool(self.listen) or self.admin is not None or self.api is not None

    def close(self) -> None:
        """Give up this process's references. The sockets go on to listen in the process that holds them."""
        for each in (*self.listen, self.admin, self.api):
            if each is not None:
                each.close()


def inherited_sockets(
    environment: MutableMapping[str, str] | None = None, pid: int | None = None
) -> InheritedSockets:
    """Take the sockets of systemd's LISTEN_FDS; none if there are none, or if they are for another process.

    The variables are removed, and no child process gets the sockets. Raises ServerUnavailable.
    """
    environment = os.environ if environment is None else environment
    given = {name: environment.pop(name, None) for name in _VARIABLES}
    if given["LISTEN_PID"] is None or given["LISTEN_FDS"] is None:
        return InheritedSockets()
    owner = _number("LISTEN_PID", given["LISTEN_PID"], 1 << 31)
    if owner != (os.getpid() if pid is None else pid):
        return InheritedSockets()
    count = _number("LISTEN_FDS", given["LISTEN_FDS"], _MOST)
    text = given["LISTEN_FDNAMES"]
    names = [""] * count if text is None else text.split(":") if text or count else []
    if len(names) != count:
        raise _unusable([f"LISTEN_FDNAMES has {len(names)} names for {count} sockets"])
    return sockets_of(enumerate(names, start=_FIRST_DESCRIPTOR))


def sockets_of(descriptors: Iterable[tuple[int, str]]) -> InheritedSockets:
    """The sockets of these descriptors, each with its name. Raises ServerUnavailable with all faults."""
    faults: list[str] = []
    by_name: dict[str, list[socket.socket]] = {name: [] for name in NAMES}
    opened: list[socket.socket] = []
    for descriptor, given in descriptors:
        name = _purpose(given)
        if name is None:
            faults.append(f"descriptor {descriptor} has the name `{given}`, which is none of {', '.join(NAMES)}")
            continue
        try:
            found = _opened(descriptor)
        except OSError as fault:
            faults.append(f"descriptor {descriptor} ({name}) {fault.strerror or fault}")
            continue
        opened.append(found)
        by_name[name].append(found)
        if (reason := _unfit(found, name)) is not None:
            faults.append(f"descriptor {descriptor} ({name}) {reason}")
    faults += [f"{len(by_name[name])} sockets have the name {name}" for name in NAMES[1:] if len(by_name[name]) > 1]
    if faults:
        for each in opened:
            each.close()
        raise _unusable(faults)
    admin, api = (by_name[name][0] if by_name[name] else None for name in NAMES[1:])
    return InheritedSockets(tuple(by_name["listen"]), admin, api)


def _purpose(name: str) -> str | None:
    """systemd gives a socket the name of its unit unless the unit has `FileDescriptorName=`."""
    if name in ("", "unknown") or name.endswith(".socket"):
        return "listen"
    return name if name in NAMES else None


def _opened(descriptor: int) -> socket.socket:
    """Raises OSError, whose text completes the sentence `descriptor 3 ...`."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        raise OSError("is not open") from None
    if not stat.S_ISSOCK(mode):
        raise OSError("is no socket")
    os.set_inheritable(descriptor, False)
    found = socket.socket(fileno=descriptor)
    found.setblocking(False)
    return found


def _unfit(found: socket.socket, name: str) -> str | None:
    families = (socket.AF_INET, socket.AF_INET6, *((socket.AF_UNIX,) if name == "admin" else ()))
    if found.type != socket.SOCK_STREAM:
        return "is no stream socket"
    if found.family not in families:
        return f"is of family {found.family.name}, which this listener cannot serve"
    if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "does not listen: is `Accept=no` set in the socket unit?"
    return None


def _number(variable: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= most):
        raise _unusable([f"{variable} is `{text[:40]}`, not a number up to {most}"])
    return int(text)


def _unusable(faults: list[str]) -> ServerUnavailable:
    return ServerUnavailable(
        "the sockets that this process was given cannot be used",
        reference="inherited-sockets",
        detail="; ".join(faults),
        hint="Give each socket of the systemd unit `FileDescriptorName=` listen, admin or api.",
    )
