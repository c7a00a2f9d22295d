"""How a right is taken back: the SQL, by whom it was granted and to whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pgjit.doctor.subject import PUBLIC, Membership, Privilege, ReachedRole, Subject
from pgjit.policy.policy import Preset
from tests.doctor.subjects import GOOD, good

MEMBER = replace(
    good(),
    memberships=(
        Membership('"a team"', "postgres", False, True, True),
        Membership('"a team"', "boss", True, True, True),
    ),
    reached=(
        ReachedRole(30000, '"a team"', [], ['"a team"'], owner=False),
        ReachedRole(30001, "inner", [], ['"a team"'], owner=False),
    ),
)


def _grant(**changes: Any) -> Privilege:
    plain = Privilege("TABLE", "public.notes", "INSERT", GOOD.oid, "postgres", "postgres", grantable=False)
    return plain._replace(**changes)


@pytest.mark.parametrize(
    ("grants", "expected"),
    [
        ([_grant()], ("REVOKE INSERT ON TABLE public.notes FROM agent;",)),
        ([_grant(), _grant(privilege="DELETE")], ("REVOKE INSERT, DELETE ON TABLE public.notes FROM agent;",)),
        ([_grant(grantee=PUBLIC)], ("REVOKE INSERT ON TABLE public.notes FROM PUBLIC;",)),
        ([_grant(grantable=True)], ("REVOKE INSERT ON TABLE public.notes FROM agent CASCADE;",)),
        (
            [_grant(grantor='"some one"')],
            ('SET ROLE "some one"; REVOKE INSERT ON TABLE public.notes FROM agent; RESET ROLE;',),
        ),
        (
            [_grant(), _grant(grantor="other")],
            (
                "REVOKE INSERT ON TABLE public.notes FROM agent;",
                "SET ROLE other; REVOKE INSERT ON TABLE public.notes FROM agent; RESET ROLE;",
            ),
        ),
    ],
)
def test_a_right_is_taken_back_from_whom_it_was_given_to(grants: list[Privilege], expected: tuple[str, ...]) -> None:
    assert good().revoke(grants) == expected


@pytest.mark.parametrize("grantee", [30000, 30001])
def test_a_right_of_a_group_stays_with_the_group_and_the_login_leaves_it(grantee: int) -> None:
    assert MEMBER.revoke([_grant(grantee=grantee)]) == (
        'REVOKE "a team" FROM agent GRANTED BY postgres;',
        'REVOKE "a team" FROM agent GRANTED BY boss CASCADE;',
    )


def test_before_version_16_memberships_are_left_without_naming_who_granted_them() -> None:
    older = replace(MEMBER, login=GOOD._replace(version=150018))
    assert older.leave('"a team"') == ('REVOKE "a team" FROM agent;', 'REVOKE "a team" FROM agent CASCADE;')


def test_rights_come_from_public_the_login_and_every_role_that_it_reaches() -> None:
    assert MEMBER.grantees == [PUBLIC, GOOD.oid, 30000, 30001]
    assert [MEMBER.name(oid) for oid in MEMBER.grantees] == ["PUBLIC", "agent", '"a team"', "inner"]


@pytest.mark.parametrize(
    ("access", "reads_only", "writes_only"),
    [
        (set(), True, False),
        ({Preset.READ_ONLY}, True, False),
        ({Preset.READ_ONLY, Preset.READ_WRITE}, False, False),
        ({Preset.READ_WRITE, Preset.FULL}, False, True),
    ],
)
def test_a_connection_that_no_policy_opens_is_taken_for_one_that_reads(
    access: set[Preset], reads_only: bool, writes_only: bool
) -> None:
    subject = Subject(connection="c", login=GOOD, access=frozenset(access))
    assert (subject.reads_only, subject.writes_only) == (reads_only, writes_only)
