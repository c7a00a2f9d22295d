"""Terms of a grant that do less than they seem to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.policy.load import load_policies

GROUP = "8b1d2f47-0c3a-4e9e-b7f5-6a2c4d8e9f20"
OTHER = "2a7f90c4-63d1-4b8e-9c05-e18d4f6b7a31"
HEAD = f"policy: p\nconnection: c\ngroup: {GROUP}\nttl: 30m\nrecord: true\nstatements: {{access: read-only}}\n"
REVIEW = f"grant: review\nreview: {{groups: [{OTHER}]"
BROKEN = f"grant: on-request\nbreak-glass: true\nreview: {{groups: [{OTHER}]"


def _warnings(folder: Path, text: str) -> list[str]:
    (folder / "p.yaml").write_text(HEAD + text)
    policies, faults = load_policies(folder)
    assert faults == []
    return [warning.removeprefix(f"{folder}/p.yaml:") for warning in policies.warnings]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (f"grant: review\nreview: {{groups: [{GROUP}]}}\n", "8:10: the group that requests is the only"),
        ("grant: on-request\nopen_within: 5m\n", "8:1: `open_within` has no effect without `grant: review`"),
        ("grant: on-request\nlapse_after: 5m\n", "8:1: `lapse_after` has no effect"),
        (REVIEW + "}\nsign_off_within: 5h\n", "`sign_off_within` has no effect without `break-glass`"),
        (BROKEN + ", approvals: 2}\nreason: required\n", "`approvals` has no effect with `break-glass`"),
        (BROKEN + "}\n", "8:1: those who sign off may find no reason"),
        (REVIEW + ", one_refusal_ends: false}\n", "`one_refusal_ends: false` has no effect"),
        (REVIEW + "}\nopen_within: 9h\n", "an approval may be used up to 9h after it was given"),
        (REVIEW + "}\nlapse_after: 30s\n", "requests lapse after 30s"),
        ("grant: on-request\nreason: {pattern: '(OPS-[0-9]+|)'}\n", "an empty ticket matches the pattern"),
        (
            'grant: on-request\nschedule: ["Tue 06:00-06:20 Europe/Berlin"]\n',
            "no window lasts the ttl of 30m: the schedule is open for at most 20m",
        ),
        ("grant: on-request\ncooldown: 6h\nmax_per_day: 4\n", "a cooldown of 6h allows no more windows a day"),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_warned_of(tmp_path: Path, text: str, warning: str) -> None:
    warnings = _warnings(tmp_path, text)
    assert len(warnings) == 1
    assert warning in warnings[0]


@pytest.mark.parametrize(
    "text",
    [
        f"grant: review\nreview: {{groups: [{GROUP}, {OTHER}]}}\nopen_within: 5m\nlapse_after: 2h\n",
        f"grant: review\nreview: {{groups: [{GROUP}], roles: [Approver]}}\n",
        REVIEW + ", approvals: 2, one_refusal_ends: false}\n",
        BROKEN + "}\nreason: required\nsign_off_within: 5h\n",
        "grant: on-request\nreason: {pattern: 'OPS-[0-9]+'}\n",
        # Two entries that continue each other are one opening.
        'grant: on-request\nschedule: ["Tue 23:45-24:00 UTC", "Wed 00:00-00:20 UTC"]\n',
        "grant: on-request\ncooldown: 6h\nmax_per_day: 3\n",
    ],
)
def test_what_has_an_effect_is_not(tmp_path: Path, text: str) -> None:
    assert _warnings(tmp_path, text) == []
