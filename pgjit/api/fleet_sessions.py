"""The sessions of other nodes, for the endpoints of sessions and windows.

Decides what happens while the store cannot be read: the caller gets None, and has to show that something is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from pgjit.api.services import ApiServices
from pgjit.errors import ServerUnavailable
from pgjit.grants.session_elsewhere import SessionElsewhere
from pgjit.identity.identity import IdentityKey

__all__ = ["sessions_elsewhere"]

_log = logging.getLogger("pgjit.api")


async def sessions_elsewhere(
    services: ApiServices, *, identity: IdentityKey | None = None, window_ids: Collection[str] | None = None
) -> list[SessionElsewhere] | None:
    """Those of one identity, of some windows, or all. None: the store cannot be read."""
    if not services.store.shared:
        return []
    try:
        found = await services.store.sessions_elsewhere(identity=identity, window_ids=window_ids)
    except ServerUnavailable as fault:
        _log.warning("the sessions of other nodes cannot be read: %s", fault.detail or fault.message)
        return None
    # Another node may have taken over the entry of a session that this node still has.
    return [each for each in found if services.registry.get(each.id) is None]
