"""The exit codes of every command."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Status"]


class Status(IntEnum):
    OK = 0
    FAILED = 1  # it ran, and what it was to show or do did not come out
    USAGE = 2  # the command line is wrong
    INVALID = 3  # a configuration or policy file has faults
    UNAVAILABLE = 4  # a port, a file or a server that it needs cannot be used
