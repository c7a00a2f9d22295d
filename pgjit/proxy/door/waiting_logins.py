"""Logins that wait for a verdict (`pgjit.wait`): how many may do so at once, in all, per address and per identity.

Pure.

A waiting login holds none of the places of its identity's sessions, so it keeps no open window from being used. It
does hold a connection: these limits leave most connections to sessions. Does not know what a login waits for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pgjit.errors import TooManyConnections
from pgjit.grants.holder import HolderKey
from pgjit.proxy.quota import Quota

__all__ = ["WaitingLogins"]

_SHARE = 4
"""At most a fourth of the connections may wait."""
_OF_ONE_IDENTITY = 4


class WaitingLogins:
    def __init__(self, connections: int, connections_per_address: int) -> None:
        self._proxy: Quota[None] = Quota(max(1, connections // _SHARE))
        self._identities: Quota[HolderKey] = Quota(_OF_ONE_IDENTITY)
        self._addresses: Quota[str] = Quota(max(1, connections_per_address // _SHARE))

    def change(self, connections: int, connections_per_address: int) -> None:
        """The limits on connections are others now. Who waits goes on."""
        self._proxy.most = max(1, connections // _SHARE)
        self._addresses.most = max(1, connections_per_address // _SHARE)

    def __len__(self) -> int:
        return self._proxy[None]

    @contextmanager
    def place(self, holder: HolderKey, network: str, request_id: str) -> Iterator[None]:
        """Hold a place while the login waits. Raises TooManyConnections: the request stays, the login does not."""
        with ExitStack() as places:
            if not self._identities.take(holder):
                raise _full(f"At most {self._identities.most} of one identity wait at once.", request_id)
            places.callback(self._identities.give_back, holder)
            if not self._addresses.take(network):
                raise _full(f"At most {self._addresses.most} from {network} wait at once.", request_id)
            places.callback(self._addresses.give_back, network)
            if not self._proxy.take(None):
                raise _full(f"At most {self._proxy.most} wait at once.", request_id)
            places.callback(self._proxy.give_back, None)
            yield


def _full(detail: str, request_id: str) -> TooManyConnections:
    return TooManyConnections(
        "too many logins wait for a review",
        reference="too-many-waiting-logins",
        detail=f"{detail} Your request {request_id} is made and stays pending.",
        hint="Connect again without `pgjit.wait` when the request is approved.",
    )
