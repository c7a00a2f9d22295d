"""Which files of a configuration are secrets."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from pgjit.app.installation import kind_of
from pgjit.config import ConfigFile
from pgjit.doctor.files import FileKind

# Every key of the configuration that names a file or a folder, by what it holds. A new one is added here.
KINDS = {
    FileKind.SECRET: {
        "api.console.client_secret.file",
        "api.tls.key",
        "connections.control.password.file",
        "connections.password.file",
        "connections.sslkey",
        "identity.graph.federated_token",
        "identity.graph.key",
        "identity.graph.secret.file",
        "journal.checkpoint.key",
        "notify.channels.mail.password.file",
        "notify.channels.slack.app_token.file",
        "notify.channels.slack.bot_token.file",
        "notify.channels.teams.url.file",
        "notify.channels.webhook.secret.file",
        "otlp.headers",
        "store.password.file",
        "tls.key",
    },
    FileKind.RULE: {
        "api.tls.certificate",
        "connections.sslcert",
        "connections.sslrootcert",
        "identity.graph.certificate",
        "journal.checkpoint.send.folder",
        "notify.channels.mail.ca",
        "otlp.certificate",
        "policies",
        "tls.certificate",
    },
    FileKind.DATA: {
        "journal.folder",
        "store.path",
    },
}


def _keys(kind: Any, key: str = "") -> Iterator[str]:
    """The keys below this type that are paths; the names of connections and the like are left out."""
    if kind is Path:
        yield key
    elif isinstance(kind, type) and issubclass(kind, BaseModel) and get_origin(kind) is None:
        for name, field in kind.model_fields.items():
            yield from _keys(field.annotation, f"{key}.{name}".lstrip("."))
    else:
        arguments = get_args(kind)
        for each in arguments[1:] if get_origin(kind) in (dict, types.MappingProxyType) else arguments:
            yield from _keys(each, key)


def test_every_file_of_the_configuration_is_known_as_what_it_holds() -> None:
    found = set(_keys(ConfigFile))
    assert {kind: {key for key in found if kind_of(key) is kind} for kind in FileKind} == KINDS
