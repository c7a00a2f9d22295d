"""The `notify` section: what is accepted, and each fault at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.config import Config, load_config
from pgjit.demo.certificates import make_certificates
from pgjit.errors import InvalidFile
from pgjit.notify.events import EVENTS

TEXT = """\
tls: {{certificate: server.crt, key: server.key}}
identity: {{tenant: 7c9e6679-7425-40de-944b-e07fc1f90ae7, audience: 3f2504e0-4f89-41d3-9a0c-0305e82c3301}}
policies: policies
connections: {{shop: {{database: shop, user: ann, host: b}}}}
notify: {notify}
"""
POLICY = """\
policy: reader
connection: shop
group: 11111111-1111-4111-8111-111111111111
grant: on-request
ttl: 30m
record: true
statements: {access: read-only}
"""
HOOK = "webhook: {url: 'https://h.test/x', secret: {file: key}}"
SLACK = "slack: {channel: C0123456789, bot_token: {file: key}}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notify")
    make_certificates(folder)
    (folder / "policies").mkdir()
    (folder / "policies" / "reader.yaml").write_text(POLICY)
    (folder / "key").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    (folder / "no-key").write_text("hunter2")
    (folder / "url").write_text("http://flow.test/x?sig=s3cret")
    return folder


def _load(folder: Path, notify: str) -> Config:
    path = folder / "pgjit.yaml"
    path.write_text(TEXT.format(notify=notify.replace("HOOK", HOOK).replace("SLACK", SLACK)))
    return load_config(path)


def test_channels_of_every_kind(folder: Path) -> None:
    (folder / "flow").write_text("https://flow.test/x?sig=s3cret")
    config = _load(
        folder,
        "{channels: {a: {HOOK}, b: {SLACK, events: [lock.set]}, c: {teams: {url: {file: flow}}}, "
        "d: {mail: {host: m, sender: a@b.c, to: x@y.z}}}, "
        "people: {carol: {identity: T/O, slack: U0123456789, groups: 11111111-1111-4111-8111-11111111111A}}}",
    )
    assert config.file.notify is not None
    assert set(config.channel_secrets) == {("a", "secret"), ("b", "bot_token"), ("c", "url")}
    channels = config.file.notify.channels
    assert set(EVENTS) - channels["a"].subscribed == {"request.verdict", "request.used", "test"}
    assert channels["b"].subscribed == {"lock.set"}
    carol = config.file.notify.people["carol"]
    assert (carol.key, carol.groups) == (("t", "o"), ("11111111-1111-4111-8111-11111111111a",))


AT_H = "{{channels: {{a: {{webhook: {{url: 'https://h.test', secret: {}}}}}}}}}"
FAULTS = {
    "{channels: {}}": "`notify.channels` must have at least 1 entry",
    "{channels: {A: {HOOK}}}": "channel `A` must begin with a lower-case letter",
    "{channels: {a: {}}}": "give one of `webhook`, `slack`, `teams` and `mail`",
    "{channels: {a: {HOOK, SLACK}}}": "give one of `webhook`, `slack`, `teams` and `mail`",
    "{channels: {a: {HOOK, events: [request.mode]}}}": "`notify.channels.a.events.0` must be 'request.made'",
    "{channels: {a: {webhook: {url: 'http://h.test', secret: {file: key}}}}}": "webhook.url` is not https",
    "{channels: {a: {webhook: {url: 'https://u@h.test', secret: {file: key}}}}}": "is not of the form",
    AT_H.format("{file: no-key}"): "`notify.channels.a.webhook.secret` must hold keys that begin with `whsec_`",
    AT_H.format("{file: gone}"): "`notify.channels.a.webhook.secret.file` cannot be used",
    AT_H.format("hunter2"): "`notify.channels.a.webhook.secret` must be a mapping",
    AT_H.format("{}"): "give one of `env`, `file` and `command`",
    "{channels: {a: {teams: {url: {file: url}}}}}": "`notify.channels.a.teams.url` holds a URL that is not https",
    "{channels: {a: {slack: {channel: general, bot_token: {file: key}}}}}": "must be of the form `C0123456789`",
    '{channels: {a: {mail: {host: m, sender: "a@b.c\\nBcc: x@y.z", to: x@y.z}}}}': "must be a plain mail address",
    "{channels: {a: {mail: {host: m, sender: a@b.c}}}}": "nobody would get a message",
    "{channels: {a: {mail: {host: m, sender: a@b.c, to: x@y.z, username: u}}}}": "`username` and `password` go",
    "{channels: {a: {mail: {host: m, sender: a@b.c, to: x@y.z, ca: key}}}}": "is not a file of certificates",
    "{channels: {a: {HOOK}}, people: {x: {identity: T/O}, y: {identity: t/o}}}": "`people` has identity `t/o` twice",
    "{channels: {a: {HOOK}}, people: {x: {identity: someone}}}": "must be of the form `TENANT/OBJECT`",
    "{channels: {a: {HOOK}}, link: 'https://h.test/'}": "`link` has no `{id}`",
    "{channels: {a: {HOOK}}, link: 'http://h.test/{id}'}": "`link` is not https",
}


def test_every_fault_is_reported_at_its_place_and_no_secret_is_shown(folder: Path) -> None:
    missed = []
    for notify, fault in FAULTS.items():
        with pytest.raises(InvalidFile) as refused:
            _load(folder, notify)
        text = refused.value.terminal()
        if fault not in text or "pgjit.yaml:5:" not in text or "s3cret" in text or "MfKQ9" in text:
            missed.append((notify, text))
    assert missed == []


def test_without_the_extra_slack_its_channel_is_a_fault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgjit.notify.section.importlib.util.find_spec", lambda _: None)
    with pytest.raises(InvalidFile) as refused:
        _load(folder, "{channels: {a: {SLACK}}}")
    assert "needs slack-sdk and aiohttp" in refused.value.terminal()
