"""The tokens of agents: each needs its blueprint's, and what is no such token is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from pgjit.demo.emulator import PrincipalKind, RegisteredPrincipal
from tests.demo.emulator.clouds import (
    AUDIENCE,
    EXCHANGE,
    GROUP,
    ON_BEHALF_OF,
    SCOPE,
    Cast,
    begin,
    cast,
    redeem,
    said,
)

__all__ = ["cast"]  # a fixture


async def first_token(cast: Cast) -> str:
    return await cast.token(cast.form(cast.blueprint, EXCHANGE, fmi_path=str(cast.agent.client_id)))


async def agent_form(cast: Cast, scope: str = SCOPE, **more: str) -> dict[str, str]:
    return cast.form(cast.agent, scope, client_assertion=await first_token(cast), **more)


async def test_an_agent_gets_its_token_with_that_of_its_blueprint(cast: Cast) -> None:
    assert said(await first_token(cast))["aud"] == "api://AzureADTokenExchange"
    claims = said(await cast.token(await agent_form(cast)))
    names = ("azp", "oid", "idtyp", "xms_act_fct", "xms_sub_fct", "xms_par_app_azp", "groups")
    assert [claims[name] for name in names] == [
        cast.agent.client_id, cast.agent.oid, "app", "11", "11", cast.blueprint.client_id, [GROUP],
    ]  # fmt: skip


async def test_an_agents_user_gets_its_token_in_three_steps(cast: Cast) -> None:
    second = await cast.token(await agent_form(cast, EXCHANGE))
    form = await agent_form(
        cast, f"{AUDIENCE}/access", grant_type="user_fic", user_id=cast.agents_user.oid,
        user_federated_identity_credential=second,
    )  # fmt: skip
    claims = said(await cast.token(form))
    names = ("azp", "oid", "idtyp", "scp", "xms_act_fct", "xms_sub_fct")
    assert [claims[name] for name in names] == [
        cast.agent.client_id, cast.agents_user.oid, "user", "access", "11", "13",
    ]  # fmt: skip
    assert (await cast.post({**form, "user_id": cast.person.oid})).json()["error_codes"] == [50034]
    first = {**form, "user_federated_identity_credential": await first_token(cast)}
    assert (await cast.post(first)).json()["error_codes"] == [50013]


async def test_an_agent_acts_on_behalf_of_a_person(cast: Cast) -> None:
    cast.emulator.cloud.codes.approver = cast.person.oid
    given = (await redeem(cast, await begin(cast, f"api://{cast.blueprint.client_id}/access_agent"))).json()
    form = await agent_form(
        cast, grant_type=ON_BEHALF_OF, requested_token_use="on_behalf_of", assertion=given["access_token"]
    )
    claims = said(await cast.token(form))
    assert (claims["oid"], claims["azp"], claims["xms_act_fct"]) == (cast.person.oid, cast.agent.client_id, "11")
    assert "xms_sub_fct" not in claims
    elsewhere = (await redeem(cast, await begin(cast))).json()["access_token"]
    assert (await cast.post({**form, "assertion": elsewhere})).json()["error_codes"] == [50013]


Forge = Callable[[Cast], Awaitable[str]]


async def _of_an_app(cast: Cast) -> str:
    return await cast.token(cast.form(cast.app, EXCHANGE))


async def _for_the_api(cast: Cast) -> str:
    return await cast.token(cast.form(cast.app))


async def _by_a_stranger(cast: Cast) -> str:
    return cast.emulator.cloud.workload.sign(said(await first_token(cast)))


async def _of_another_agent(cast: Cast) -> str:
    other = cast.emulator.directory.add(
        RegisteredPrincipal(kind=PrincipalKind.AGENT, display="other", parent=cast.blueprint.client_id)
    )
    return await cast.token(cast.form(cast.blueprint, EXCHANGE, fmi_path=str(other.client_id)))


@pytest.mark.parametrize(
    ("forge", "number"),
    [(_of_an_app, 700213), (_for_the_api, 700211), (_by_a_stranger, 7000272), (_of_another_agent, 700213)],
)
async def test_an_agent_needs_its_own_first_token(cast: Cast, forge: Forge, number: int) -> None:
    form = cast.form(cast.agent, client_assertion=await forge(cast))
    assert (await cast.post(form)).json()["error_codes"] == [number]
