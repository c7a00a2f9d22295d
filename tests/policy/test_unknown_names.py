"""Names of a policy that a server does not have are told, with the name that may have been meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.policy.load import load_policies
from pgjit.policy.unknown_names import absent_names
from pgjit.sql.catalog import Catalog

POLICIES = Path(__file__).parents[2] / "policies"
SHOP = Catalog.from_json((POLICIES / "shop.catalog.json").read_bytes())
HEAD = """policy: p
connection: c
group: 11111111-1111-4111-8111-111111111111
grant: on-request
ttl: 30m
record: true
statements:
  access: read-write
"""


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ("deny: [{relations: [customers]}]", None),
        ("deny: [{relations: [public.cust*]}]", None),
        ("deny: [{columns: [customers.email, orders.*]}]", None),
        ("deny: [{schemas: [public]}]", None),
        ("allow: [{functions: [pg_sleep]}]", None),
        ("allow: [{kinds: [create-table], relations: [staging.*]}]", None),  # what is yet to be made
        ("allow: [{kinds: [truncate], relations: [public.nots]}]", "names `public.nots`"),
        (
            "deny: [{relations: [custmers]}]",
            "9:10: `relations` names `custmers`, which the catalog does not have; did you",
        ),
        ("deny: [{relations: [crm.*]}]", "9:10: `relations` names `crm.*`, which the catalog does not have"),
        ("deny: [{columns: [customers.emial]}]", "did you mean `customers.email`?"),
        ("deny: [{relations: [orders, '!public.nots']}]", "names `public.nots`"),
        ("deny: [{schemas: [pubic]}]", "did you mean `public`?"),
        ("allow: [{functions: [app.report]}]", "9:11: `functions` names `app.report`"),
        ("deny: [{types: [app.money]}]", "`types` names `app.money`"),
    ],
)
def test_a_name_that_the_catalog_has_not_is_told(tmp_path: Path, entries: str, told: str | None) -> None:
    (tmp_path / "p.yaml").write_text(f"{HEAD}  {entries}\n")
    policies, faults = load_policies(tmp_path)
    assert faults == []
    found = list(absent_names(policies["p"], SHOP))
    if told is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith(f"{tmp_path}/p.yaml:9:")
        assert told in found[0]


def test_the_example_policies_name_what_the_shop_has() -> None:
    policies, _ = load_policies(POLICIES)
    assert [told for policy in policies.values() for told in absent_names(policy, SHOP)] == []
