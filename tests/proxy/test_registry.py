"""Live sessions are found by their cancel key, and by no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from pgjit.identity.identity import IdentityKey
from pgjit.proxy.registry import Registry
from pgjit.proxy.session import Session


@dataclass(eq=False)
class Live:
    """As much of a session as a registry looks at."""

    backend_pid: int
    cancel_secret: bytes
    window_id: str = "w_1"
    identity_key: IdentityKey | None = None

    @property
    def view(self) -> str | None:
        """A session that is not open yet, or has ended, has none."""
        return None if self.cancel_secret == b"" else f"view of {self.backend_pid}"


def registry_of(*sessions: Live) -> Registry:
    registry = Registry()
    for number, session in enumerate(sessions):
        registry.add(f"s_{number}", cast(Session, session))
    return registry


OLD, NEW, TWIN = Live(7, b"abcd"), Live(8, b"k" * 32), Live(7, b"wxyz")


@pytest.mark.parametrize(
    ("pid", "secret", "found"),
    [
        (7, b"abcd", OLD),
        (7, b"wxyz", TWIN),
        (8, b"k" * 32, NEW),
        (8, b"k" * 4, None),
        (8, b"k" * 31, None),
        (8, b"k" * 33, None),
        (7, b"abcd" + b"\0" * 28, None),
        (7, b"", None),
        (7, b"abce", None),
        (9, b"abcd", None),
        (-7, b"abcd", None),
    ],
)
def test_only_pid_and_whole_secret_find_a_session(pid: int, secret: bytes, found: Live | None) -> None:
    assert registry_of(OLD, NEW, TWIN).by_cancel_key(pid, secret) == cast(Session | None, found)


def test_a_session_that_ended_is_not_found_and_its_twin_is() -> None:
    registry = registry_of(OLD, NEW, TWIN)
    registry.remove("s_0")
    registry.remove("s_0")
    assert [registry.by_cancel_key(7, secret) for secret in (b"abcd", b"wxyz")] == [None, cast(Session, TWIN)]
    assert len(registry) == 2
    assert len(registry.of_window("w_1")) == 2


class Unseen(Live):
    @property
    def view(self) -> str | None:
        raise AssertionError("it was looked at")


def test_the_views_of_some_windows_look_at_no_other_session() -> None:
    registry = registry_of(Live(1, b"a"), Live(2, b"", "w_2"), Live(3, b"c", "w_2"), Unseen(4, b"d", "w_3"))
    assert cast(list[str], registry.views_of(["w_1", "w_2", "w_9"])) == ["view of 1", "view of 3"]
    assert registry.views_of(()) == []


def test_the_sessions_of_one_identity_are_found_without_a_look_at_others() -> None:
    one, other = IdentityKey("t", "one"), IdentityKey("t", "other")
    registry = registry_of(
        Live(1, b"a", identity_key=one), Unseen(2, b"b", identity_key=other), Live(3, b"c", identity_key=one)
    )
    assert cast(list[str], registry.latest_views(5, one)) == ["view of 3", "view of 1"]
    assert cast(list[str], registry.latest_views(1, one)) == ["view of 3"]
    registry.remove("s_0")
    registry.remove("s_2")
    assert not registry.latest_views(5, one)
    assert not registry.of_identity(one)
    assert len(registry.of_identity(other)) == 1


def test_a_session_that_is_over_is_no_longer_its_windows() -> None:
    registry = registry_of(Live(1, b"a"), Live(2, b"b", "w_2"))
    registry.remove("s_1")
    assert registry.of_window("w_2") == []
    assert len(registry.of_window("w_1")) == 1
