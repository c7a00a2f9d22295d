"""Roles come from groups; apps and agents are requesters at most."""

from __future__ import annotations

import pytest

from pgjit.api.caller import CallerRole, RoleTable
from pgjit.api.section import HttpRolesSection
from tests.api.people import ADMINS, AUDITORS, MEMBERS, OTHERS, PEOPLE, REVIEWERS, policies

ROLES = {
    "nobody": set(),
    "requester": {"requester"},
    "other": {"requester"},
    "reviewer": {"reviewer"},
    "member-reviewer": {"requester", "reviewer"},
    "auditor": {"auditor"},
    "admin": {"admin"},
    "app": {"requester"},
    "agent": {"requester"},
    "agent-user": {"requester"},
    "acted-for": {"requester"},
}


@pytest.mark.parametrize("name", ROLES)
def test_roles_come_from_groups_and_policies(name: str) -> None:
    table = RoleTable(lambda: HttpRolesSection(auditor=(AUDITORS,), admin=(ADMINS,)), policies())
    assert table.roles_of(PEOPLE[name]) == ROLES[name]


def test_roles_that_are_configured_take_the_place_of_the_policies() -> None:
    table = RoleTable(lambda: HttpRolesSection(requester=(OTHERS,), reviewer=(AUDITORS,)), policies())
    names = ("requester", "other", "reviewer", "auditor", "admin")
    expected = [set(), {"requester"}, set(), {"reviewer"}, set()]
    assert [table.roles_of(PEOPLE[name]) for name in names] == expected


def test_the_directory_is_queried_for_the_groups_that_matter() -> None:
    table = RoleTable(lambda: HttpRolesSection(auditor=(AUDITORS,), admin=(ADMINS,)), policies())
    assert table.groups == {MEMBERS, OTHERS, REVIEWERS, AUDITORS, ADMINS}


def test_the_groups_that_give_a_role_are_named_for_people() -> None:
    table = RoleTable(lambda: HttpRolesSection(auditor=(AUDITORS,), admin=(ADMINS,)), policies())
    assert table.givers([CallerRole.AUDITOR, CallerRole.ADMIN]) == [AUDITORS, ADMINS]
    assert table.givers([CallerRole.REQUESTER]) == [MEMBERS, OTHERS]
    assert table.givers([CallerRole.REVIEWER]) == [REVIEWERS]
    roles = HttpRolesSection(reviewer=(AUDITORS,), admin=(ADMINS,), names={ADMINS: "database-admins"})
    configured = RoleTable(lambda: roles, policies())
    assert configured.givers([CallerRole.REVIEWER, CallerRole.ADMIN]) == [AUDITORS, "database-admins"]
    assert roles.groups == {AUDITORS, ADMINS}
