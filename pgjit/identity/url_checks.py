"""Checks the URLs that a configuration names for keys, tokens and memberships: https, no user, no query. Pure."""

from __future__ import annotations

import ipaddress

import httpx

__all__ = ["is_loopback", "origin_faults", "url_faults"]


def origin_faults(name: str, value: str, *, allow_http: bool) -> list[str]:
    """The faults of `value`, the configuration key `name`, as an origin (`https://host`)."""
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        return [f"`{name}` is not a URL"]
    plain = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
    if not url.host or value.removesuffix("/") != plain or url.userinfo:
        return [f"`{name}` is not of the form `https://host`, in lower case"]
    return _scheme_faults(name, url, allow_http=allow_http)


def url_faults(name: str, value: str, *, allow_http: bool) -> list[str]:
    """The same for a URL with a path."""
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        return [f"`{name}` is not a URL"]
    if not url.host or str(url) != value or url.userinfo or url.query or url.fragment:
        return [f"`{name}` is not of the form `https://host/path`, in lower case"]
    return _scheme_faults(name, url, allow_http=allow_http)


def _scheme_faults(name: str, url: httpx.URL, *, allow_http: bool) -> list[str]:
    if url.scheme == "https":
        return []
    if url.scheme == "http" and (allow_http or is_loopback(url.host)):
        return []
    return [f"`{name}` is not https: what comes unprotected can be anyone's"]


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
