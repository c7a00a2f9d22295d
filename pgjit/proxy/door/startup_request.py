"""Parses a client's startup message: user, database, what is asked of pgjit, and the session settings. Pure.

Decides which parameters are session settings, and which are refused under every policy. `startup_settings.py` decides
which settings a policy accepts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta

from pgjit.errors import AccessRefused, PgjitError, ProtocolFault
from pgjit.policy.durations import parse_duration
from pgwire.messages.startup import StartupMessage

__all__ = ["StartupRequest", "read_startup_request", "unsupported_version"]

_UTF8 = frozenset({"utf8", "utf-8", "unicode"})
_PGJIT_PARAMETERS = ("pgjit.notices", "pgjit.reason", "pgjit.ticket", "pgjit.ttl", "pgjit.wait")
_MAX_VALUE = 256
_MAX_NAME = 127  # two parts of 63
_MAX_REASON = 1000
_NAME = re.compile(r"[a-z_][a-z0-9_$]*(?:\.[a-z_][a-z0-9_$]*)*\Z")
"""Names of settings, in lower case, as PostgreSQL has them. No other name reaches a policy or a server."""
_NOT_SETTINGS = frozenset({"database", "options", "replication", "user"})
"""Parameters of the packet itself. As settings they would reach the server beside the settings that are judged."""


@dataclass(frozen=True, slots=True)
class StartupRequest:
    user: str
    database: str
    application_name: str | None
    reason: str | None
    settings: dict[str, str] = field(default_factory=dict)  # session settings by name in lower case
    ticket: str | None = None  # also part of `reason`
    stated_reason: str | None = None  # `pgjit.reason` alone
    ttl: timedelta | None = None  # a shorter window than the policy's
    wait: timedelta | None = None  # how long the login waits for a verdict
    notices: bool = True  # pgjit may send NOTICEs of its own


_TRUE = frozenset({"true", "on", "yes", "1"})
_FALSE = frozenset({"false", "off", "no", "0"})


class Unsupported(PgjitError):
    """A part of the protocol that pgjit does not serve."""

    sqlstate = "0A000"
    severity = "FATAL"


def unsupported_version(major: int, minor: int) -> PgjitError:
    return Unsupported(
        f"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2",
        reference="unsupported-protocol",
    )


def read_startup_request(startup: StartupMessage) -> StartupRequest:
    """Raises PgjitError (28000, 0A000, 08P01) for parameters that are refused."""
    if startup.major != 3:
        raise unsupported_version(startup.major, startup.minor)
    parameters: dict[str, str] = {}
    for name, value in startup.parameters.items():
        if name.startswith("_pq_."):
            continue
        _add(parameters, name.lower(), value)
    for name, value in _options(parameters.pop("options", "")):
        _add(parameters, _name_in_options(name), value)
    user = parameters.pop("user", "")
    if not user:
        raise AccessRefused(
            "no user name was given",
            reference="startup-parameter",
            hint="Name the policy as the user.",
        )
    database = parameters.pop("database", "") or user
    if parameters.pop("replication", "false").lower() not in _FALSE:
        raise Unsupported(
            "replication connections are not served here",
            reference="replication",
            detail="A replication connection reads every change of the server, past any policy.",
            hint="Leave `replication` out; replicate from the server itself.",
        )
    application_name = parameters.pop("application_name", None)
    ttl, wait = (_length(name, parameters.pop(name, None)) for name in ("pgjit.ttl", "pgjit.wait"))
    notices = _switch("pgjit.notices", parameters.pop("pgjit.notices", "on"))
    stated, ticket = (_text(parameters.pop(name, "")) for name in ("pgjit.reason", "pgjit.ticket"))
    settings = {
        _setting_name(name): _setting_value(name, value)
        for name, value in parameters.items()
        if not _is_utf8(name, value)
    }
    return StartupRequest(
        user[:63], database[:63], application_name, _reason(stated, ticket), settings, ticket, stated, ttl, wait,
        notices,
    )  # fmt: skip


def _add(parameters: dict[str, str], name: str, value: str) -> None:
    if name in parameters:
        raise ProtocolFault(f"startup parameter `{name[:63]}` is given twice")
    parameters[name] = value


def _is_of_the_packet(name: str) -> bool:
    return name in _NOT_SETTINGS or name.startswith("_pq_")


def _name_in_options(name: str) -> str:
    folded = name.lower()
    if _is_of_the_packet(folded):
        raise AccessRefused(
            f"startup parameter `{name[:63]}` may not be in `options`",
            reference="startup-parameter",
            detail="It is a parameter of the startup message, and no setting.",
            hint="Give it to the client by itself, or leave it out.",
        )
    return folded


def _text(value: str) -> str | None:
    return value.strip()[:_MAX_REASON] or None


def _reason(stated: str | None, ticket: str | None) -> str | None:
    text = f"{stated} (ticket {ticket})" if stated and ticket else stated or ticket
    return None if text is None else text[:_MAX_REASON]


def _length(name: str, value: str | None) -> timedelta | None:
    if value is None:
        return None
    try:
        return parse_duration(value.strip())
    except ValueError as fault:
        raise AccessRefused(
            f"startup parameter `{name}` is not a length of time",
            reference="startup-parameter",
            detail=f"`{value[:63]}` {fault}.",
            hint=f"Write, for example, `-c {name}={'10m' if name == 'pgjit.ttl' else '30s'}`.",
        ) from None


def _switch(name: str, value: str) -> bool:
    if (word := value.strip().lower()) not in _TRUE | _FALSE:
        raise AccessRefused(
            f"startup parameter `{name}` is neither on nor off",
            reference="startup-parameter",
            detail=f"It is `{value[:63]}`.",
            hint=f"Write `-c {name}=off`, or leave it out.",
        )
    return word in _TRUE


def _is_utf8(name: str, value: str) -> bool:
    """client_encoding is accepted with the value that pgjit sends to the server anyway."""
    return name == "client_encoding" and value.strip("'\"").lower() in _UTF8


def _setting_name(name: str) -> str:
    if not _NAME.match(name) or _is_of_the_packet(name) or len(name) > _MAX_NAME:
        raise AccessRefused(
            f"startup parameter `{name[:63]}` is not accepted",
            reference="startup-parameter",
            detail="It is not a name that a setting can have.",
            hint="Names of settings consist of letters, digits, `_` and `$`, in parts with dots between them.",
        )
    if name == "client_encoding":
        raise AccessRefused(
            "client_encoding must be UTF8",
            reference="startup-parameter",
            detail="Statements are judged as UTF-8; in another encoding the server could read them differently.",
            hint="Set PGCLIENTENCODING=UTF8, or leave it out.",
        )
    if name.startswith("pgjit."):
        raise AccessRefused(
            f"startup parameter `{name[:63]}` is not accepted",
            reference="startup-parameter",
            detail="pgjit has no parameter of that name.",
            hint=f"There are {', '.join(_PGJIT_PARAMETERS[:-1])} and {_PGJIT_PARAMETERS[-1]}.",
        )
    return name


def _setting_value(name: str, value: str) -> str:
    if len(value) > _MAX_VALUE:
        raise AccessRefused(f"startup parameter `{name}` is too long", reference="startup-parameter")
    return value


def _options(text: str) -> list[tuple[str, str]]:
    """The settings of `options`: `-c name=value`, `-cname=value`, `--name=value`.

    Words are split at blanks, with PostgreSQL's backslash escapes. Single quotes group too, so that a reason can be
    written naturally in PGOPTIONS.
    """
    words = _words(text)
    settings: list[tuple[str, str]] = []
    while words:
        option = word = words.pop(0)
        if word == "-c" and words:
            word = words.pop(0)
        elif word.startswith(("--", "-c")):
            word = word[2:]
        else:
            word = ""
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise AccessRefused(
                "startup parameter `options` is not accepted as it is",
                reference="startup-parameter",
                detail=f"`{option[:63]}` in it is not a setting.",
                hint="Write PGOPTIONS=\"-c pgjit.reason='why you need this'\".",
            )
        settings.append((name.replace("-", "_"), value))
    return settings


def _words(text: str) -> list[str]:
    words: list[str] = []
    word: list[str] | None = None
    quoted = escaped = False
    for character in text:
        if escaped:
            word = [*(word or []), character]
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "'":
            quoted = not quoted
            word = word or []
        elif character.isspace() and not quoted:
            if word is not None:
                words.append("".join(word))
            word = None
        else:
            if word is None:
                word = []
            word.append(character)
    if word is not None:
        words.append("".join(word))
    return words
