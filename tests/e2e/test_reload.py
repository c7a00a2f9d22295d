"""A reload of policies reaches what is open: sessions follow or leave, windows get shorter, no statement slips by."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from pgjit.api.reload_result import ReloadRefused
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.errors import utc_text
from pgjit.proxy import end_notices
from tests.e2e.loose import Line, refusal
from tests.e2e.reloading import Agent, change_config, connect, edit_policy, outcome, reload
from tests.e2e.worlds import add_breaker, add_reader, ask, open_world, records
from tests.run.waiting import until, until_it_holds

_DENIED = "  deny:\n    - columns: [customers.email]\n"
_LONG = f" /* {'x ' * 4_000} */"  # judged in another process
_WAYS = ("protocol", "sql", "through", "explain", "cursor", "protocol on cursor", "portal that began", "text")


def _deny(world: World) -> None:
    edit_policy(world, "reader", "  access: read-only\n", "  access: read-only\n" + _DENIED)


def _prepare(line: Line, comment: str) -> None:
    """The same question in each way, one with a cursor that outlives its transaction and was read from already."""
    question = f"SELECT email FROM customers ORDER BY id{comment}"
    for name, sql in (("p", question), ("e", "EXECUTE s")):
        assert refusal(line.prepare_named(name, sql)) is None
    for sql in (f"PREPARE s AS {question}", f"DECLARE c CURSOR WITH HOLD FOR {question}", "FETCH 1 FROM c"):
        assert refusal(line.simple(sql)) is None
    assert refusal(line.prepare_named("f", "FETCH 1 FROM c")) is None


def _runs(line: Line, comment: str) -> dict[str, str]:
    """By each way, the rule that refused it or `ran`."""
    results = {
        "protocol": line.run_named("p"),
        "sql": line.simple("EXECUTE s"),
        "through": line.run_named("e"),
        "explain": line.simple("EXPLAIN ANALYZE EXECUTE s"),
        "cursor": line.simple("FETCH 1 FROM c"),
        "protocol on cursor": line.run_named("f"),
        "portal that began": line.simple("SELECT 1; FETCH 1 FROM c"),
        "text": line.simple(f"SELECT email FROM customers ORDER BY id{comment}"),
    }
    return {way: refused[1] if (refused := refusal(found)) else "ran" for way, found in results.items()}


@pytest.mark.parametrize("comment", ["", _LONG], ids=["short", "long"])
async def test_what_was_prepared_under_the_old_rules_is_judged_by_the_new_ones(world: World, comment: str) -> None:
    line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
    try:
        await asyncio.to_thread(_prepare, line, comment)
        assert await asyncio.to_thread(_runs, line, comment) == dict.fromkeys(_WAYS, "ran")
        _deny(world)
        result = await reload(world)
        assert (result.policies.changed, result.sessions_following, result.windows) == (("reader",), 1, ())
        assert await asyncio.to_thread(_runs, line, comment) == dict.fromkeys(_WAYS, "pgjit:denied")
        edit_policy(world, "reader", _DENIED, "")
        assert (await reload(world)).sessions_following == 1
        assert await asyncio.to_thread(_runs, line, comment) == dict.fromkeys(_WAYS, "ran")
    finally:
        await asyncio.to_thread(line.close)


async def test_a_deleted_policy_ends_its_windows_and_lets_nobody_in(world: World) -> None:
    token = await world.token(add_reader(world))
    agent = await connect(world, token)
    pid = agent.info.backend_pid
    (world.folder / "policies" / "reader.yaml").unlink()
    result = await reload(world)
    [window] = result.windows
    assert (result.policies.removed, window.policy, window.reason) == (("reader",), "reader", "policy-deleted")
    with pytest.raises(psycopg.OperationalError) as ended:
        await agent.execute("SELECT 1")
    assert ended.value.diag.source_function == "pgjit:policy-deleted"
    await agent.close()
    [record] = await until(lambda: records(world, "window.ended"))
    assert (record["reason"], record["sessions"]) == ("policy-deleted", 1)
    [session] = records(world, "session.ended")
    proof = session["proof"]
    assert isinstance(proof, dict)
    assert proof["gone"] is True
    assert await ask(world.database, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid) == 0
    with pytest.raises(psycopg.OperationalError, match="policy"):
        await connect(world, token)
    order = [each["type"] for each in records(world) if each["type"] in ("config.reloaded", "session.ended")]
    assert order == ["config.reloaded", "session.ended"]


async def test_a_policy_shortens_what_is_open_and_never_lengthens_it(world: World) -> None:
    async with await connect(world, await world.token(add_reader(world))) as agent:
        opened, granted = await _window(agent)
        for ttl, expected in (("3h", granted), ("10m", opened + timedelta(minutes=10)), ("2h", None)):
            edit_policy(world, "reader", f"ttl: {_ttl(world)}", f"ttl: {ttl}")
            result = await reload(world)
            _, ends_at = await _window(agent)
            assert ends_at == (opened + timedelta(minutes=10) if expected is None else expected)
            assert [each.reason for each in result.windows] == (["ttl"] if ttl == "10m" else [])
        edit_policy(world, "reader", "ttl: 2h", "ttl: 1s")
        await reload(world)
        await until(lambda: records(world, "window.ended"))
        with pytest.raises(psycopg.OperationalError) as ended:
            await agent.execute("SELECT 1")
        assert ended.value.diag.source_function == "pgjit:window-ended"


async def test_the_notices_before_the_end_are_of_the_earlier_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str | None] = []
    async with await connect(world, await world.token(add_reader(world))) as agent:
        agent.add_notice_handler(lambda notice: heard.append(notice.message_primary))
        opened, _ = await _window(agent)
        for minutes in (20, 19, 18, 17):  # where the reload takes longer than the notice is away, that is left out
            ends_at = opened.replace(tzinfo=UTC) + timedelta(minutes=minutes)
            due = datetime.now(UTC) + timedelta(seconds=21 - minutes)
            monkeypatch.setattr(end_notices, "BEFORE_END", (ends_at - due,))
            edit_policy(world, "reader", f"ttl: {_ttl(world)}", f"ttl: {minutes}m")
            await reload(world)
            while not heard and datetime.now(UTC) < due + timedelta(seconds=2):
                await agent.execute("SELECT pg_sleep(0.1)")
            if heard:
                break
        assert [str(notice).partition(", at ")[2] for notice in heard] == [utc_text(ends_at)]


def _ttl(world: World) -> str:
    text = (world.folder / "policies" / "reader.yaml").read_text()
    return next(line.removeprefix("ttl: ") for line in text.splitlines() if line.startswith("ttl: "))


async def _window(agent: psycopg.AsyncConnection[tuple[object, ...]]) -> tuple[datetime, datetime]:
    row = await (await agent.execute("SHOW pgjit.window")).fetchone()
    assert row is not None
    begin, end = str(row[0]).split(": ", 1)[1].removesuffix(" UTC").split(" UTC to ")
    return datetime.fromisoformat(begin), datetime.fromisoformat(end)


async def test_a_session_that_cannot_follow_finishes_its_statement_and_leaves(world: World) -> None:
    token = await world.token(add_reader(world))
    agent, idle = await connect(world, token), await connect(world, token)
    running = asyncio.create_task(outcome(agent, "SELECT pg_sleep(1)"))

    async def runs() -> bool:
        return bool(await ask(world.database, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(1)'"))

    await until_it_holds(runs)
    edit_policy(world, "reader", "record: true\n", "record: true\nlimits: {rows: 5}\n")
    result = await reload(world)
    assert (result.sessions_leaving, result.sessions_following, result.windows) == (2, 0, ())
    assert await running == "ran"
    for each in (agent, idle):
        assert await outcome(each, "SELECT 1") == "pgjit:terms-changed"
        await each.close()
    async with await connect(world, token) as again:  # the window was not ended
        with pytest.raises(psycopg.Error) as cut:
            await again.execute("SELECT generate_series(1, 10)")
        assert cut.value.diag.source_function == "pgjit:limit-rows"
    assert len(records(world, "window.opened")) == 1


async def test_who_loses_the_policy_loses_the_window(world: World) -> None:
    agent = await connect(world, await world.token(add_reader(world)))
    edit_policy(world, "reader", "group: 11111111", "group: 99999999")
    result = await reload(world)
    assert [each.reason for each in result.windows] == ["policy-changed"]
    assert await outcome(agent, "SELECT 1") == "pgjit:policy-changed"
    await agent.close()


async def test_a_policy_that_becomes_full_gives_an_open_session_nothing(world: World) -> None:
    """And one that is full no more takes it: neither goes on in a session that logged in under the other."""
    reader = await connect(world, await world.token(add_reader(world)))
    breaker = await connect(world, await world.token(add_breaker(world)), "full", "write-target")
    edit_policy(world, "reader", "access: read-only\n  allow:\n    - function: pg_sleep", "access: full")
    edit_policy(world, "full", "access: full", "access: read-only")
    assert (await reload(world)).sessions_leaving == 2
    for agent in (reader, breaker):
        assert await outcome(agent, "CREATE TABLE slipped (id int)") == "pgjit:terms-changed"
        await agent.close()
    assert await ask(world.database, "SELECT to_regclass('slipped')::text") is None


async def test_files_with_faults_change_nothing(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect(world, token) as agent:
        _deny(world)
        edit_policy(world, "writer", "ttl: ", "tll: ")
        with pytest.raises(ReloadRefused) as refused:
            await reload(world)
        assert any("writer.yaml:" in fault and "did you mean `ttl`" in fault for fault in refused.value.faults)
        assert await outcome(agent, "SELECT email FROM customers") == "ran"
        [record] = records(world, "config.refused")
        assert record["faults"] == list(refused.value.faults)
        page = world.app.telemetry.page().decode()
        assert 'pgjit_config_reloads_total{result="failure"} 1' in page
        assert 'pgjit_config_reloads_total{result="success"} 0' in page
        edit_policy(world, "writer", "tll: ", "ttl: ")
        await reload(world)
        assert await outcome(agent, "SELECT email FROM customers") == "pgjit:denied"
        assert 'pgjit_config_reloads_total{result="success"} 1' in world.app.telemetry.page().decode()


async def test_reloads_are_one_after_the_other(world: World) -> None:
    async with await connect(world, await world.token(add_reader(world))) as agent:
        first = asyncio.create_task(reload(world))
        await asyncio.sleep(0)  # it reads the files while they change
        _deny(world)
        results = await asyncio.gather(first, *(reload(world) for _ in range(3)))
        assert [each.policies.changed for each in results].count(("reader",)) == 1
        assert await outcome(agent, "SELECT email FROM customers") == "pgjit:denied"
    assert len(records(world, "config.reloaded")) == 4


def _while_logging_in(world: World, monkeypatch: pytest.MonkeyPatch, work: Callable[[], Awaitable[object]]) -> None:
    """Do it once, when the window of a login is open and the server is about to be logged in to."""
    servers = world.app._services.servers["prod-replica"]
    log_in, left = servers._log_in_to_first, [work]

    async def slowly(*arguments: object) -> object:
        while left and records(world, "window.opened"):  # the first login is for the catalog
            await left.pop()()
        return await log_in(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(servers, "_log_in_to_first", slowly)


async def test_a_login_under_way_does_not_open_under_a_policy_that_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def delete() -> None:
        (world.folder / "policies" / "reader.yaml").unlink()
        await reload(world)

    _while_logging_in(world, monkeypatch, delete)
    with pytest.raises(psycopg.OperationalError, match="policy"):
        await connect(world, await world.token(add_reader(world)))
    assert records(world, "session.opened") == []
    [ended] = await until(lambda: records(world, "window.ended"))
    assert ended["reason"] == "policy-deleted"


async def test_a_login_under_way_opens_under_the_rules_of_now(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def change() -> None:
        edit_policy(world, "reader", "record: true\n", "record: true\nlimits: {rows: 5}\n")
        _deny(world)
        await reload(world)

    _while_logging_in(world, monkeypatch, change)
    async with await connect(world, await world.token(add_reader(world))) as agent:
        assert await outcome(agent, "SELECT email FROM customers") == "pgjit:denied"
        assert await outcome(agent, "SELECT generate_series(1, 10)") == "pgjit:limit-rows"
    [opened] = records(world, "session.opened")
    assert opened["policy_version"] == world.app._services.policies["reader"].version
    assert len(records(world, "window.opened")) == 1
    assert records(world, "login.refused") == []


async def test_a_login_is_refused_where_each_try_meets_another_change(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers, tries = world.app._services.servers["prod-replica"], 0
    log_in = servers._log_in_to_first

    async def slowly(*arguments: object) -> object:
        nonlocal tries
        tries += 1
        edit_policy(world, "reader", "record: true", "# changed\nrecord: true")
        await reload(world)
        return await log_in(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(servers, "_log_in_to_first", slowly)
    with pytest.raises(psycopg.OperationalError, match="was changed during the login"):
        await connect(world, await world.token(add_reader(world)))
    assert tries == 4
    assert records(world, "session.opened") == []
    assert len(world.app._services.identity_quota) == 0


async def test_a_judgement_under_way_in_a_worker_is_made_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = world.app._services.judge_workers
    assess, judged = workers.assess, 0

    async def slowly(*arguments: object) -> object:
        nonlocal judged
        judgement = await assess(*arguments)  # type: ignore[arg-type]
        judged += 1
        if judged == 1:
            _deny(world)
            await reload(world)
        return judgement

    monkeypatch.setattr(workers, "assess", slowly)
    async with await connect(world, await world.token(add_reader(world))) as agent:
        assert await outcome(agent, f"SELECT email FROM customers{_LONG}") == "pgjit:denied"
    assert judged == 2


async def test_limits_are_those_of_now(database: DemoDatabase, tmp_path: Path) -> None:
    async with open_world(database, tmp_path) as world:
        token = await world.token(add_reader(world))
        async with await connect(world, token):
            change_config(world, limits={"sessions_per_identity": 1, "catalog_seconds": 60, "handshake_seconds": 120})
            assert (await reload(world)).keys == ("limits.sessions_per_identity",)
            with pytest.raises(psycopg.OperationalError, match="too many sessions of your identity"):
                await connect(world, token)


async def test_each_execution_is_judged_by_the_policy_that_the_journal_names_before_it(world: World) -> None:
    """Clients ask in pipelines, short and long texts, by name and without, while the policy goes to and fro."""
    token = await world.token(add_reader(world))
    questions = ("SELECT email FROM customers LIMIT 1", f"SELECT email FROM customers LIMIT 1{_LONG}")
    ways = [(question, prepared) for question in questions for prepared in (True, False)]
    agents = [await connect(world, token) for _ in ways]

    async def ask_by(agent: Agent, question: str, *, prepared: bool) -> None:
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege, psycopg.errors.PipelineAborted):
            async with agent.pipeline():
                for _ in range(3):
                    await agent.execute(question, prepare=prepared)

    for turn in range(8):
        if turn % 2:
            edit_policy(world, "reader", _DENIED, "")
        else:
            _deny(world)
        asking = [ask_by(agent, question, prepared=by) for agent, (question, by) in zip(agents, ways, strict=True)]
        reloading = asyncio.create_task(reload(world))
        await asyncio.gather(*asking)
        result = await reloading
        assert (result.sessions_following, result.sessions_leaving) == (len(ways), 0)
        for agent, (question, prepared) in zip(agents, ways, strict=True):
            await ask_by(agent, question, prepared=prepared)
    for agent in agents:
        await agent.close()
    denied, seen = False, set[tuple[bool, str]]()
    for record in records(world):
        if record["type"] == "config.reloaded":
            denied = not denied
        elif record["type"] == "execution" and "email" in str(record["statement"]):
            assert record["decision"] == ("deny" if denied else "allow")
            seen.add((denied, str(record["statement"])))
    assert len(seen) == 2 * len(questions)
