"""The device code grant (RFC 8628): codes that wait until a person approves or denies them.

Decides when a code may be exchanged for a token. Takes `now`; does not know tokens or HTTP.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pgjit.demo.emulator.oauth_error import OAuthError

__all__ = ["DeviceCode", "DeviceCodes"]

_LIFETIME: Final = timedelta(minutes=15)
_ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels: no words
_MOST: Final = 10_000


@dataclass(slots=True, kw_only=True)
class DeviceCode:
    device_code: str
    user_code: str
    client_id: str
    tenant: str  # as the client requested it; may be `common`
    scope: str
    ends_at: datetime
    user: str | None = None  # object id of the person who approved
    declined: bool = False


class DeviceCodes:
    """`approver` is the object id or name of a person who approves every code at once; None: nobody does."""

    def __init__(self) -> None:
        self.approver: str | None = None
        self.interval = 5  # seconds between two polls of the client
        self._codes: dict[str, DeviceCode] = {}

    def begin(self, client_id: str, tenant: str, scope: str, now: datetime) -> DeviceCode:
        self._codes = {name: code for name, code in self._codes.items() if code.ends_at > now}
        if len(self._codes) >= _MOST:
            raise OAuthError("temporarily_unavailable", 90033, "Too many codes are waiting.", 503)
        made = DeviceCode(
            device_code=secrets.token_urlsafe(48),
            user_code="".join(secrets.choice(_ALPHABET) for _ in range(9)),
            client_id=client_id,
            tenant=tenant,
            scope=scope,
            ends_at=now + _LIFETIME,
            user=self.approver,
        )
        self._codes[made.device_code] = made
        return made

    def decide(self, user_code: str, user: str | None) -> bool:
        """Approve the code as `user`, or deny it with None. False if there is no such code."""
        for code in self._codes.values():
            if secrets.compare_digest(code.user_code.encode(), user_code.encode()):
                code.user, code.declined = user, user is None
                return True
        return False

    @property
    def waiting(self) -> list[str]:
        """The user codes that are pending."""
        return [code.user_code for code in self._codes.values() if code.user is None and not code.declined]

    def redeem(self, device_code: str, client_id: str, now: datetime) -> DeviceCode:
        """Use an approved code up; it is valid for one token. Raises OAuthError."""
        code = self._codes.get(device_code)
        if code is None or code.client_id != client_id:
            raise OAuthError("bad_verification_code", 70019, "The device code is not known.")
        if code.ends_at <= now:
            del self._codes[device_code]
            raise OAuthError("expired_token", 70020, "The device code is expired.")
        if code.declined:
            del self._codes[device_code]
            raise OAuthError("authorization_declined", 70018, "The person has declined.")
        if code.user is None:
            raise OAuthError("authorization_pending", 70016, "The person has not decided yet.")
        del self._codes[device_code]
        return code
