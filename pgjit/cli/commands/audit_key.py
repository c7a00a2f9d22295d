"""`pgjit audit key`: makes the key that signs a journal, and shows its public half."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pgjit.cli.appearance import CommandHelp, command_group
from pgjit.cli.audit_journals import JournalFolders, KeyOption, proved_journals
from pgjit.cli.audit_settings import AsJson, ConfigPath
from pgjit.cli.status import Status

__all__ = ["key"]


def new(file: Annotated[Path, typer.Argument(help="The file to make, of mode 0600. It must not exist.")]) -> int:
    """Make a private key (Ed25519, PEM), and print its public half.

    Name the file in `journal.checkpoint.key`. Keep the public half where who runs pgjit cannot change it: without it,
    nobody can be shown that the journal is the one that was signed.
    """
    from pgjit.audit.proof.key_file import new_private_key, public_pem

    print(public_pem(new_private_key(file).public_key().public_bytes_raw()), end="")
    return Status.OK


def show(
    folders: JournalFolders = None,
    keys: KeyOption = None,
    as_json: AsJson = False,
    config: ConfigPath = Path("pgjit.yaml"),
) -> int:
    """Show the public keys of the journal, the current one first: each as `name+id+key` and as PEM."""
    from pgjit.audit.proof.key_file import public_pem

    found = [key for journal in proved_journals(folders, keys, config) for key in journal.keys]
    if as_json:
        print(
            json.dumps(
                [{"origin": key.name, "key": key.text, "pem": public_pem(key.public)} for key in found], indent=2
            )
        )
        return Status.OK
    for each in found:
        print(each.text)
        print(public_pem(each.public), end="")
    return Status.OK


key = command_group(
    "Make the key that signs the journal, or show its public half.",
)
key.command("new", cls=CommandHelp)(new)
key.command("show", cls=CommandHelp)(show)
