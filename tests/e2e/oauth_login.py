"""A program: log in with libpq 18 by OAUTHBEARER, with a token from a hook of our own, and say who one is.

Run by test_oauth.py in a process of its own, because libpq's hook is for a whole process. Arguments: a connection
string; the token is on standard input. Prints as JSON what came of it and what the hook was asked.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path

import psycopg

_OAUTH_BEARER_TOKEN = 1  # PQAUTHDATA_OAUTH_BEARER_TOKEN


class BearerRequest(ctypes.Structure):
    """PGoauthBearerRequest of libpq-fe.h."""

    _fields_ = (
        ("openid_configuration", ctypes.c_char_p),
        ("scope", ctypes.c_char_p),
        ("async_", ctypes.c_void_p),
        ("cleanup", ctypes.c_void_p),
        ("token", ctypes.c_char_p),
        ("user", ctypes.c_void_p),
    )


Hook = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


def _loaded_libpq() -> ctypes.CDLL:
    """The libpq that psycopg itself is using."""
    psycopg.pq.version()
    maps = Path("/proc/self/maps").read_text().splitlines()
    [path] = {line.split()[-1] for line in maps if Path(line.split()[-1]).name.startswith("libpq")}
    return ctypes.CDLL(path)


def main(conninfo: str, token: str) -> dict[str, object]:
    asked: list[dict[str, str | None]] = []
    kept = ctypes.create_string_buffer(token.encode())

    def answer(kind: int, connection: int, data: int) -> int:
        if kind != _OAUTH_BEARER_TOKEN:
            return 0
        request = BearerRequest.from_address(data)
        asked.append(
            {
                "openid_configuration": request.openid_configuration.decode(),
                "scope": request.scope.decode() if request.scope else None,
            }
        )
        request.token = ctypes.cast(kept, ctypes.c_char_p)
        return 1

    hook = Hook(answer)  # kept: libpq calls it later
    _loaded_libpq().PQsetAuthDataHook(hook)
    said: dict[str, object] = {"asked": asked}
    try:
        with psycopg.connect(conninfo, connect_timeout=15) as connection:
            row = connection.execute("SHOW pgjit.policy").fetchone()
            said["policy"] = row[0] if row else None
    except psycopg.OperationalError as fault:
        said["error"] = str(fault)
    return said


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.stdin.read())))
