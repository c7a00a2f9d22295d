"""The attributes of a statement, by OpenTelemetry's stable conventions for databases. Pure.

Decides which text of a statement leaves the journal. INVARIANT: `db.query.text` has no value of a statement: it is
the normalised text of one that reads or changes rows, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["query_attributes", "query_summary", "server_attributes"]

Attributes = dict[str, str | int]

_NORMALISED = {"select", "insert", "update", "delete", "merge", "declare"}
"""Kinds whose normalised text has a placeholder for each value. Others may hold values in places of their own."""

_MOST_TEXT = 2048
_MOST_SUMMARY = 255  # the convention's limit


def query_summary(record: Mapping[str, Any]) -> str:
    """The operation and the relations it names, such as `UPDATE public.orders`: few different ones."""
    kind = str(record.get("kind") or "statement")
    names = dict.fromkeys([*record.get("writes", ()), *record.get("reads", ())])
    summary = " ".join([kind.upper().replace("-", " "), *map(str, names)])
    if len(summary) <= _MOST_SUMMARY:
        return summary
    return summary[:_MOST_SUMMARY].rpartition(" ")[0]


def query_attributes(record: Mapping[str, Any]) -> Attributes:
    """The attributes that the record of an execution gives."""
    attributes: Attributes = {"db.system.name": "postgresql", "db.query.summary": query_summary(record)}
    if kind := record.get("kind"):
        attributes["db.operation.name"] = str(kind).upper().replace("-", " ")
    if (text := _query_text(record)) is not None:
        attributes["db.query.text"] = text
    return attributes


def _query_text(record: Mapping[str, Any]) -> str | None:
    if record.get("kind") not in _NORMALISED or "fingerprint" not in record or "statement_bytes" in record:
        return None
    text = record.get("normalised", record.get("statement"))  # without a value, the text is its own normalised form
    return _without_comments(text)[:_MOST_TEXT] if isinstance(text, str) else None


def _without_comments(text: str) -> str:
    """Without the comments around it: they name the caller or its trace, and differ where the query is the same."""
    text = text.strip()
    while text.startswith("/*") and (end := text.find("*/", 2)) >= 0:
        text = text[end + 2 :].lstrip()
    while (rest := text.rstrip("; \n")).endswith("*/") and (begin := rest.rfind("/*")) >= 0:
        text = rest[:begin].rstrip()
    return text


def server_attributes(opened: Mapping[str, Any]) -> Attributes:
    """The attributes that the record `session.opened` gives: the server, the database, the connection's name."""
    attributes: Attributes = {"db.system.name": "postgresql"}
    if database := opened.get("database"):
        attributes["db.namespace"] = str(database)
    if connection := opened.get("connection"):
        attributes["pgjit.connection"] = str(connection)
    host, _, port = str(opened.get("server") or "").rpartition(":")
    if host and port.isdecimal():
        attributes |= {"server.address": host.strip("[]"), "server.port": int(port)}
    elif port:
        attributes["server.address"] = port
    client, _, client_port = str(opened.get("source") or "").rpartition(":")
    if client and client_port.isdecimal():
        attributes |= {"client.address": client.strip("[]"), "client.port": int(client_port)}
    return attributes
