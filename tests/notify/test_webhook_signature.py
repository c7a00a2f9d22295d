"""The signature of Standard Webhooks: its own vector, rotation, and secrets that are no keys."""

from __future__ import annotations

import pytest

from pgjit.notify.webhook_signature import read_keys, signatures

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'


def test_the_vector_of_the_specification() -> None:
    code = signatures(read_keys(KEY), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)
    assert code == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_two_keys_sign_while_one_is_replaced() -> None:
    other = "whsec_" + "A" * 32
    both = signatures(read_keys(f"{KEY}\n{other}\n"), "m", 1, BODY).split(" ")
    assert both == [signatures(read_keys(one), "m", 1, BODY) for one in (KEY, other)]


@pytest.mark.parametrize(
    ("secret", "fault"),
    [
        ("", "must hold one to 4 keys"),
        (" ".join([KEY] * 5), "must hold one to 4 keys"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "must hold keys that begin with `whsec_`"),
        ("whsec_~~~~", "must hold keys in base64 after `whsec_`"),
        ("whsec_AAAA", "must hold keys of 24 to 64 bytes"),
    ],
)
def test_what_is_no_key_is_refused_and_not_quoted(secret: str, fault: str) -> None:
    with pytest.raises(ValueError, match="must hold") as refused:
        read_keys(secret)
    assert str(refused.value) == fault
