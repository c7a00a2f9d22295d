"""When files count as changed: whole, the same in two looks, whatever link leads to them; a fault is tried rarely."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pgjit.app.file_watch import FileWatch
from pgjit.config import Config, load_config
from pgjit.demo.certificates import make_certificates

_GUID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
_POLICY = f"policy: reader\nconnection: prod\ngroup: {_GUID}\ngrant: on-request\nrecord: true\n"
_POLICY += "statements: {access: read-only}\nttl: "


@dataclass
class Watched:
    """A configuration with its policies in a folder that a link leads to, as Kubernetes mounts a ConfigMap."""

    folder: Path
    accepts: bool = True
    reloads: int = 0
    config: Config = field(init=False)

    def __post_init__(self) -> None:
        made = make_certificates(self.folder)
        made.certificate.rename(self.folder / "tls.crt")
        made.key.rename(self.folder / "tls.key")
        self.mount("one", "30m")
        (self.folder / "secret").write_text("s3cret")
        (self.folder / "pgjit.yaml").write_text(
            "tls: {certificate: tls.crt, key: tls.key}\n"
            f"identity: {{tenant: {_GUID}, audience: {_GUID}}}\n"
            "connections: {prod: {host: localhost, database: d, user: u, password: {file: secret}}}\n"
            "policies: policies/..data\n"
        )
        self.config = load_config(self.folder / "pgjit.yaml")
        self.watch = FileWatch(lambda: self.config, self._reload)

    async def _reload(self) -> bool:
        self.reloads += 1
        return self.accepts

    def mount(self, name: str, ttl: str) -> None:
        """A new folder with the files, and the link set to it in one step."""
        made = self.folder / "policies" / name
        made.mkdir(parents=True)
        (made / "reader.yaml").write_text(f"{_POLICY}{ttl}\n")
        link = self.folder / "policies" / "..data_tmp"
        link.symlink_to(name)
        link.rename(self.folder / "policies" / "..data")

    async def looks(self, count: int = 3) -> int:
        """How many reloads so many looks come to."""
        before = self.reloads
        for _ in range(count):
            await self.watch.step()
        return self.reloads - before


@pytest.fixture
async def watched(tmp_path: Path) -> Watched:
    made = Watched(tmp_path)
    assert await made.looks() == 1  # what changed since the start is taken up
    return made


async def test_nothing_new_is_reloaded_once(watched: Watched) -> None:
    assert await watched.looks(5) == 0


@pytest.mark.parametrize("file", ["pgjit.yaml", "secret", "tls.crt", "policies/one/reader.yaml"])
async def test_a_changed_file_is_reloaded_once(watched: Watched, file: str) -> None:
    with (watched.folder / file).open("a") as changed:
        changed.write("\n")
    assert await watched.looks(5) == 1


async def test_a_policy_that_is_new_or_gone_is_a_change(watched: Watched) -> None:
    other = watched.folder / "policies" / "one" / "other.yaml"
    other.write_text("policy: other\n")
    assert await watched.looks(5) == 1
    other.unlink()
    assert await watched.looks(5) == 1


async def test_a_link_that_is_set_to_another_folder_is_a_change(watched: Watched) -> None:
    watched.mount("two", "20m")
    assert await watched.looks(5) == 1


async def test_a_file_that_is_still_written_waits(watched: Watched) -> None:
    """It is another one at each look: none of them is reloaded."""
    for size in range(1, 6):
        (watched.folder / "secret").write_text("s" * size)
        assert await watched.looks(1) == 0
    assert await watched.looks(1) == 1


async def test_a_time_alone_is_no_change(watched: Watched) -> None:
    (watched.folder / "pgjit.yaml").touch()
    assert await watched.looks(5) == 0


async def test_what_was_refused_is_tried_when_it_changes_and_now_and_then(watched: Watched) -> None:
    watched.accepts = False
    (watched.folder / "secret").write_text("other")
    assert await watched.looks(2) == 1
    assert await watched.looks(11) == 0
    assert await watched.looks(2) == 1
    watched.accepts = True
    (watched.folder / "secret").write_text("third")
    assert await watched.looks(2) == 1
    assert await watched.looks(30) == 0


async def test_a_file_that_is_missing_is_a_change_and_no_failure(watched: Watched) -> None:
    (watched.folder / "secret").unlink()
    assert await watched.looks(5) == 1
