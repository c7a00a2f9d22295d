"""The exit codes of every command."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Status"]


class Status(IntEnum):
    OK = 0
    FAILED = 1  # the command ran, and its result is negative: a denied statement, a failed test, a danger
    USAGE = 2  # the command line is wrong
    INVALID = 3  # a configuration or policy file has faults
    UNAVAILABLE = 4  # a port, a file or a server that the command needs cannot be used
    PENDING = 5  # the request is still pending at the end of --wait
    NO_TOKEN = 6  # the source of tokens gave none
