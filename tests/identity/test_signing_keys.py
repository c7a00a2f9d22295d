from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from pgjit.errors import ServerUnavailable, TokenRefused
from pgjit.identity.signing_keys import KeysRefused, SigningKeys, parse_key_set
from tests.identity.key_endpoint import (
    AUTHORITY,
    DAY,
    HOUR,
    ISSUER,
    KEYS_PATH,
    METADATA_PATH,
    NEW,
    OLD,
    PLACE,
    TENANT,
    UNTRUSTED,
    Endpoint,
    Pace,
    answers,
    key_set,
    unreachable,
)


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def pace() -> Pace:
    return Pace()


@pytest.fixture
async def keys(endpoint: Endpoint, pace: Pace) -> AsyncIterator[SigningKeys]:
    cache = SigningKeys(
        PLACE,
        client=httpx.AsyncClient(transport=endpoint),
        monotonic=pace.monotonic,
        sleep=pace.sleep,
        fetch_seconds=0.5,
    )
    yield cache
    await cache.close()


def ready(keys: SigningKeys) -> bool:
    return keys.ready


async def started(keys: SigningKeys, pace: Pace) -> SigningKeys:
    await keys.start()
    await pace.until_asleep()
    return keys


async def refusal(keys: SigningKeys, kid: str) -> str:
    with pytest.raises(TokenRefused) as refused:
        await keys.get(kid)
    return refused.value.reason


# --- fetching ------------------------------------------------------------------------------------------------


async def test_keys_come_from_the_pinned_place_and_are_bound_to_one_algorithm(
    keys: SigningKeys, endpoint: Endpoint, pace: Pace
) -> None:
    assert ready(keys) is False
    await started(keys, pace)
    assert ready(keys) is True
    assert (await keys.get(OLD.kid)).algorithm_name == "RS256"
    assert endpoint.requested == [AUTHORITY + METADATA_PATH, AUTHORITY + KEYS_PATH]
    assert pace.slept == [HOUR]


async def test_who_asks_before_the_first_answer_waits_for_it(keys: SigningKeys, endpoint: Endpoint) -> None:
    endpoint.hold = asyncio.Event()
    await keys.start()
    asking = [asyncio.create_task(keys.get(OLD.kid)) for _ in range(10)]
    await asyncio.sleep(0)
    endpoint.hold.set()
    assert len({id(key) for key in await asyncio.gather(*asking)}) == 1
    assert endpoint.fetches == 1


async def test_one_who_stops_waiting_does_not_stop_the_fetch(keys: SigningKeys, endpoint: Endpoint) -> None:
    endpoint.hold = asyncio.Event()
    await keys.start()
    impatient, patient = (asyncio.create_task(keys.get(OLD.kid)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    endpoint.hold.set()
    assert (await patient).algorithm_name == "RS256"
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_a_start_without_the_issuer_is_tried_again_ever_slower(
    keys: SigningKeys, endpoint: Endpoint, pace: Pace
) -> None:
    endpoint.answer = unreachable
    await started(keys, pace)
    with pytest.raises(ServerUnavailable):
        await keys.get(OLD.kid)
    for _ in range(6):
        await pace.next_round()
    assert pace.slept == [1, 2, 4, 8, 16, 30, 30]
    assert ready(keys) is False
    endpoint.answer = answers(keys=key_set(OLD))
    await pace.next_round()
    assert ready(keys) is True
    assert pace.slept[-1] == HOUR


async def test_an_outage_keeps_the_last_good_keys_for_a_day_and_no_longer(
    keys: SigningKeys, endpoint: Endpoint, pace: Pace
) -> None:
    await started(keys, pace)
    fetched_at = pace.now
    endpoint.answer = unreachable
    await pace.next_round()
    assert pace.slept[-1] == 1
    pace.now = fetched_at + DAY - 1
    assert ready(keys) is True
    await keys.get(OLD.kid)
    pace.now = fetched_at + DAY
    assert ready(keys) is False
    with pytest.raises(ServerUnavailable):
        await keys.get(OLD.kid)
    endpoint.answer = answers(keys=key_set(OLD))
    await pace.next_round()
    await keys.get(OLD.kid)


async def test_an_outage_of_an_hour_shuts_nobody_out_and_is_over_soon_after(
    keys: SigningKeys, endpoint: Endpoint, pace: Pace
) -> None:
    await started(keys, pace)
    endpoint.answer = unreachable
    begun = pace.now + HOUR
    await pace.next_round()
    while pace.now < begun + HOUR:
        assert (await keys.get(OLD.kid)).algorithm_name == "RS256"
        assert await refusal(keys, NEW.kid) == "unknown-key"
        await pace.next_round()
    assert max(pace.slept[1:]) == 300
    endpoint.answer = answers(keys=key_set(NEW))
    await pace.next_round()
    await keys.get(NEW.kid)
    assert pace.now < begun + HOUR + 600
    assert pace.slept[-1] == HOUR


async def test_a_key_that_is_not_published_any_more_dies_with_the_next_fetch(
    keys: SigningKeys, endpoint: Endpoint, pace: Pace
) -> None:
    await started(keys, pace)
    endpoint.answer = answers(keys=key_set(NEW))
    await pace.next_round()
    await keys.get(NEW.kid)
    pace.now += 1
    assert await refusal(keys, OLD.kid) == "unknown-key"


# --- keys that are not known ---------------------------------------------------------------------------------


async def test_a_new_key_is_found_by_the_first_token_that_names_it(
    keys: SigningKeys, endpoint: Endpoint, pace: Pace
) -> None:
    await started(keys, pace)
    endpoint.answer = answers(keys=key_set(NEW, OLD))
    assert (await keys.get(NEW.kid)).algorithm_name == "RS256"
    assert endpoint.fetches == 2


async def _flood(keys: SigningKeys) -> None:
    for _ in range(5):
        await asyncio.gather(*(refusal(keys, f"invented-{number}") for number in range(50)))


async def test_a_flood_of_unknown_keys_is_a_few_fetches_and_then_one_every_fifteen_seconds(
    keys: SigningKeys, endpoint: Endpoint, pace: Pace
) -> None:
    await started(keys, pace)
    begun = pace.now
    fetches = []
    for passed in (0, 14, 15, 29, 30, 45, 600):
        pace.now = begun + passed
        await _flood(keys)
        fetches.append(endpoint.fetches - 1)
    assert fetches == [3, 3, 4, 4, 5, 6, 9]
    await keys.get(OLD.kid)


async def test_an_invented_key_does_not_delay_a_new_one(keys: SigningKeys, endpoint: Endpoint, pace: Pace) -> None:
    await started(keys, pace)
    assert await refusal(keys, "invented") == "unknown-key"
    endpoint.answer = answers(keys=key_set(NEW, OLD))
    assert (await keys.get(NEW.kid)).algorithm_name == "RS256"


async def test_under_a_flood_of_invented_keys_a_new_one_is_found_within_fifteen_seconds(
    keys: SigningKeys, endpoint: Endpoint, pace: Pace
) -> None:
    await started(keys, pace)
    await _flood(keys)
    endpoint.answer = answers(keys=key_set(NEW, OLD))
    assert await refusal(keys, NEW.kid) == "unknown-key"
    pace.now += 15
    await refusal(keys, "invented")  # whoever comes first
    await keys.get(NEW.kid)


async def test_a_forced_fetch_that_fails_counts_and_keeps_the_keys(
    keys: SigningKeys, endpoint: Endpoint, pace: Pace
) -> None:
    await started(keys, pace)
    endpoint.answer = unreachable
    for _ in range(9):
        assert await refusal(keys, NEW.kid) == "unknown-key"
    assert endpoint.fetches == 1 + 3
    await keys.get(OLD.kid)


async def test_nothing_is_fetched_before_start_or_after_close(
    keys: SigningKeys, endpoint: Endpoint, pace: Pace
) -> None:
    with pytest.raises(ServerUnavailable):
        await keys.get(OLD.kid)
    assert endpoint.requested == []
    await started(keys, pace)
    await keys.close()
    assert await refusal(keys, NEW.kid) == "unknown-key"
    assert endpoint.fetches == 1


async def test_close_ends_a_fetch_under_way_and_who_waits_for_it(keys: SigningKeys, endpoint: Endpoint) -> None:
    endpoint.hold = asyncio.Event()
    await keys.start()
    waiting = asyncio.create_task(keys.get(OLD.kid))
    await asyncio.sleep(0)
    await keys.close()
    with pytest.raises(ServerUnavailable):
        await waiting


# --- answers that are not to be trusted ----------------------------------------------------------------------


@pytest.mark.parametrize("name", UNTRUSTED)
async def test_an_answer_that_is_not_sound_changes_nothing(
    keys: SigningKeys, endpoint: Endpoint, pace: Pace, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    await started(keys, pace)
    endpoint.answer, expected = UNTRUSTED[name]
    await pace.next_round()
    assert expected in caplog.text
    assert endpoint.fetches == 2
    assert all(url.startswith(f"{AUTHORITY}/{TENANT}/") for url in endpoint.requested)
    await keys.get(OLD.kid)
    assert await refusal(keys, NEW.kid) == "unknown-key"


@pytest.mark.parametrize("name", UNTRUSTED)
async def test_an_answer_that_is_not_sound_starts_nothing(
    keys: SigningKeys, endpoint: Endpoint, pace: Pace, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    endpoint.answer, expected = UNTRUSTED[name]
    await started(keys, pace)
    assert expected in caplog.text
    assert ready(keys) is False


async def test_an_answer_that_drips_is_given_up(endpoint: Endpoint, pace: Pace) -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    endpoint.answer = lambda _: httpx.Response(200, content=drip(), headers={"content-type": "application/json"})
    keys = SigningKeys(
        PLACE,
        client=httpx.AsyncClient(transport=endpoint),
        monotonic=pace.monotonic,
        sleep=pace.sleep,
        fetch_seconds=0.02,
    )
    await started(keys, pace)
    assert ready(keys) is False
    assert pace.slept == [1]
    await keys.close()


async def test_what_nobody_thought_of_does_not_end_the_fetching(
    keys: SigningKeys, endpoint: Endpoint, pace: Pace
) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise RuntimeError("broken")

    endpoint.answer = broken
    await started(keys, pace)
    endpoint.answer = answers(keys=key_set(OLD))
    await pace.next_round()
    assert ready(keys) is True


# --- which keys are good -------------------------------------------------------------------------------------


def test_unusable_keys_are_left_out_of_a_good_set() -> None:
    mixed: dict[str, object] = {
        "keys": [{"kty": "EC", "kid": "e"}, {}, *key_set(NEW, alg="RS256")["keys"], *key_set(OLD, kid=5)["keys"]]
    }
    assert list(parse_key_set(mixed, PLACE)) == [NEW.kid]


def test_the_issuer_of_a_key_may_be_written_as_a_template() -> None:
    templated = key_set(NEW, issuer=AUTHORITY + "/{tenantid}/v2.0")
    assert list(parse_key_set(templated, PLACE)) == [NEW.kid]
    with pytest.raises(KeysRefused, match="no key"):
        parse_key_set(key_set(NEW, issuer="https://evil.example/{tenantid}/v2.0"), PLACE)


def test_keys_without_use_algorithm_or_issuer_are_good() -> None:
    entry = {name: value for name, value in NEW.published(ISSUER).items() if name in ("kty", "kid", "n", "e")}
    assert list(parse_key_set({"keys": [entry]}, PLACE)) == [NEW.kid]
