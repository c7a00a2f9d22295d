"""Where responses have the header Strict-Transport-Security (RFC 6797), and where it would do harm.

A browser keeps it for a host with all of its ports. For `localhost` it would close every plain page of the person's
own machine for a year. For an IP address browsers must not keep it (section 8.1.1).
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

__all__ = ["STRICT_TRANSPORT", "is_kept_for"]

STRICT_TRANSPORT: Final = ("strict-transport-security", "max-age=31536000")


def is_kept_for(authority: str) -> bool:
    """`authority`: a host with or without a port, as in the header `Host`. False for what cannot be read."""
    try:
        host = (urlsplit(f"//{authority}").hostname or "").removesuffix(".")
    except ValueError:
        return False
    if not host or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False
