"""A login secret from the standard output of a command.

Decides what of the output is the secret, and the text of a failure. The operators see the command's standard error,
with the secret removed. `external_command.py` has the limits on output and time.
"""

from __future__ import annotations

from pgjit.external_command import CommandFailed, one_line, run_command
from pgjit.server.credential import CredentialUnavailable, FetchedSecret, check_secret

__all__ = ["secret_of_command"]


async def secret_of_command(argv: tuple[str, ...], *, timeout: float, refresh: float) -> FetchedSecret:  # noqa: ASYNC109 - ours to name
    """Run the command; its output without one newline at the end is the secret. Raises CredentialUnavailable."""
    name = f"command `{argv[0]}`"
    try:
        status, output, errors = await run_command(argv, seconds=timeout)
    except CommandFailed as fault:
        raise CredentialUnavailable(str(fault)) from None
    if status != 0:
        raise CredentialUnavailable(f"{name} failed with status {status}{_error_text(errors, output)}")
    try:
        value = output.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise CredentialUnavailable(f"output of {name} is not text") from None
    return FetchedSecret(check_secret(value, f"output of {name}"), refresh)


def _error_text(errors: bytes, output: bytes) -> str:
    """Its standard error in one line, without any word that it also printed as the secret."""
    text = errors.decode("utf-8", "replace")
    for secret in output.decode("utf-8", "replace").split():
        text = text.replace(secret, "[hidden]")
    return one_line(text)
