"""Tokens that must not be accepted, each with the reason that the journal records.

Most are signed by the right key: what is wrong is what is signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pgjit.demo.emulator import ABSENT, Emulator
from pgjit.demo.emulator.issuer import SigningKey
from tests.fixtures.tokens import AUDIENCE, GROUP, TENANT, agent_app

__all__ = ["ATTACKS", "good"]

OTHER = "11111111-1111-4111-8111-111111111111"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def js(value: object) -> bytes:
    return json.dumps(value).encode()


def with_alg(emulator: Emulator, alg: object, sign: Callable[[bytes], bytes]) -> str:
    """A token of the agent whose header says `alg`, signed by whatever `sign` does."""
    claims = emulator.claims(agent_app(emulator))
    head = {"typ": "JWT", "alg": alg, "kid": emulator.signing_key.kid}
    signed = f"{b64(js(head))}.{b64(js(claims))}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def public_forms(emulator: Emulator) -> dict[str, bytes]:
    public = emulator.signing_key.private.public_key()
    return {
        "PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "PKCS1": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "JWK": js(emulator.signing_key.published(emulator.issuer)),
        "nothing": b"",
    }


def hmac_with(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda data: hmac.new(secret, data, hashlib.sha256).digest()


def elliptic(data: bytes) -> bytes:
    r, s = decode_dss_signature(ec.generate_private_key(ec.SECP256R1()).sign(data, ec.ECDSA(SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


def claims_text(emulator: Emulator, *added: bytes) -> bytes:
    """The claims as JSON text with more members behind them, names repeated or not."""
    return js(emulator.claims(agent_app(emulator)))[:-1] + b"".join(b"," + each for each in added) + b"}"


Attack = Callable[[Emulator], str]
Row = tuple[Attack, str]


def good(emulator: Emulator) -> str:
    return emulator.issue(agent_app(emulator))


def header(**changes: object) -> Attack:
    return lambda emulator: emulator.sign(emulator.claims(agent_app(emulator)), changes)


def claim(**changes: object) -> Attack:
    return lambda emulator: emulator.issue(agent_app(emulator), now=None, **changes)


def text(*added: bytes) -> Attack:
    return lambda emulator: emulator.sign(claims_text(emulator, *added))


def key_pair(emulator: Emulator) -> Callable[[bytes], bytes]:
    private = emulator.signing_key.private
    return lambda data: private.sign(data, padding.PKCS1v15(), SHA256())


def nested(emulator: Emulator) -> str:
    return emulator.sign(good(emulator).encode())


def other_issuer(emulator: Emulator) -> Attack:
    return claim(iss=f"{emulator.url}/{OTHER}/v2.0")


NOW = int(datetime.now(UTC).timestamp())


def at(**seconds: int) -> Attack:
    """Times counted from when the token is made: that is long after this table is."""

    def attack(emulator: Emulator) -> str:
        now = int(time.time())
        return claim(**{name: now + each for name, each in seconds.items()})(emulator)

    return attack


ATTACKS: dict[str, Row] = {
    # 1 to 3: the algorithm
    **{
        f"alg {alg!r}, unsigned": (lambda e, alg=alg: with_alg(e, alg, lambda _: b"\x00"), "wrong-algorithm")  # type: ignore[misc]
        for alg in ("none", "None", "nOnE", "", None, 0)
    },
    "alg none, no signature": (lambda e: with_alg(e, "none", lambda _: b""), "malformed-token"),
    "alg missing": (header(alg=ABSENT), "wrong-algorithm"),
    **{
        f"HS256 by the public key as {form}": (
            lambda e, form=form: with_alg(e, "HS256", hmac_with(public_forms(e)[form])),  # type: ignore[misc]
            "wrong-algorithm",
        )
        for form in ("PEM", "DER", "PKCS1", "JWK", "nothing")
    },
    "RS256 named, HS256 done": (
        lambda e: with_alg(e, "RS256", hmac_with(public_forms(e)["PEM"])),
        "bad-signature",
    ),
    "RS384 by the same key": (
        lambda e: with_alg(e, "RS384", lambda d: e.signing_key.private.sign(d, padding.PKCS1v15(), SHA384())),
        "wrong-algorithm",
    ),
    "RS256 declared, RS384 done": (
        lambda e: with_alg(e, "RS256", lambda d: e.signing_key.private.sign(d, padding.PKCS1v15(), SHA384())),
        "bad-signature",
    ),
    "PS256 by the same key": (
        lambda e: with_alg(
            e, "PS256", lambda d: e.signing_key.private.sign(d, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
        ),
        "wrong-algorithm",
    ),
    "RS256 declared, PS256 done": (
        lambda e: with_alg(
            e, "RS256", lambda d: e.signing_key.private.sign(d, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
        ),
        "bad-signature",
    ),
    "ES256 by another key": (lambda e: with_alg(e, "ES256", elliptic), "wrong-algorithm"),
    "signature of zeros": (lambda e: with_alg(e, "RS256", lambda _: b"\x00" * 256), "bad-signature"),
    "signature of one byte": (lambda e: with_alg(e, "RS256", lambda _: b"\x00"), "bad-signature"),
    "signature with a byte more": (
        lambda e: with_alg(e, "RS256", lambda d: key_pair(e)(d) + b"\x00"),
        "bad-signature",
    ),
    # 4 and 5: the key
    "kid missing": (header(kid=ABSENT), "bad-key-id"),
    "kid a number": (header(kid=1), "bad-key-id"),
    "kid empty": (header(kid=""), "bad-key-id"),
    "kid a path": (header(kid="../../../dev/null"), "bad-key-id"),
    "kid SQL": (header(kid="x' UNION SELECT 'k"), "bad-key-id"),
    "kid with a NUL": (header(kid="k\x00"), "bad-key-id"),
    "kid with a forged log line": (header(kid="k\nlogin accepted"), "bad-key-id"),
    "kid of a megabyte": (header(kid="k" * 1_000_000), "token-too-large"),
    "kid unknown": (header(kid="invented"), "unknown-key"),
    "key of a stranger under a good kid": (
        lambda e: e.sign(e.claims(agent_app(e)), {"kid": e.signing_key.kid}, SigningKey()),
        "bad-signature",
    ),
    "key of a stranger": (lambda e: e.sign(e.claims(agent_app(e)), key=SigningKey()), "unknown-key"),
    "jku": (header(jku="https://evil.example/keys"), "key-in-header"),
    "x5u": (header(x5u="https://evil.example/cert"), "key-in-header"),
    "x5c": (header(x5c=["AAAA"]), "key-in-header"),
    "jwk": (header(jwk={"kty": "RSA", "n": "AQAB", "e": "AQAB"}), "key-in-header"),
    # 6 and 14: other kinds of envelope
    "crit": (header(crit=["exp"]), "header-parameter"),
    "unencoded payload": (header(b64=False, crit=["b64"]), "header-parameter"),
    "b64 without crit": (header(b64=False), "header-parameter"),
    "compressed": (header(zip="DEF"), "header-parameter"),
    "token in a token": (nested, "malformed-claims"),
    "token in a token, declared": (header(cty="JWT"), "header-parameter"),
    "encrypted": (
        lambda e: ".".join([b64(js({"alg": "dir", "enc": "A256GCM"})), "AA", "AA", "AA", "AA"]),
        "malformed-token",
    ),
    "JSON serialization": (lambda e: json.dumps({"payload": good(e).split(".")[1]}), "malformed-token"),
    "nonce of Graph": (header(nonce="abc"), "graph-token"),
    # 7 and 15: JSON
    "header name twice": (
        lambda e: e.sign(
            e.claims(agent_app(e)),
            js({"typ": "JWT", "alg": "RS256", "kid": e.signing_key.kid})[:-1] + b',"alg":"RS256"}',
        ),
        "malformed-header",
    ),
    "claim twice": (text(b'"aud":"x"'), "malformed-claims"),
    "claim twice, the same": (text(b'"ver":"2.0"'), "malformed-claims"),
    "end NaN": (
        lambda e: e.sign(js(e.claims(agent_app(e))).replace(b'"exp": ', b'"exp": NaN, "x": ')),
        "malformed-claims",
    ),
    "end Infinity": (text(b'"x":Infinity'), "malformed-claims"),
    "a hundred thousand claims": (
        lambda e: e.sign(b"{" + b",".join(b'"%d":1' % n for n in range(100_000)) + b"}"),
        "token-too-large",
    ),
    "nested deeply": (text(b'"x":' + b"[" * 3000 + b"]" * 3000), "malformed-claims"),
    "payload a list": (lambda e: e.sign(b"[]"), "malformed-claims"),
    "payload text": (lambda e: e.sign(b'"x"'), "malformed-claims"),
    "payload not UTF-8": (lambda e: e.sign(b'{"x":"\xff"}'), "malformed-claims"),
    # 8, 9 and 13: for whom, from whom
    "for another API": (claim(aud=OTHER), "wrong-audience"),
    "for Graph": (claim(aud="00000003-0000-0000-c000-000000000000"), "graph-token"),
    "for Graph by its URL": (claim(aud="https://graph.microsoft.com/"), "graph-token"),
    "for Graph of another cloud": (claim(aud="https://graph.microsoft.us"), "graph-token"),
    "for Azure Database": (claim(aud="https://ossrdbms-aad.database.windows.net"), "wrong-audience"),
    "for the resource manager": (claim(aud="https://management.azure.com/"), "wrong-audience"),
    "for us with a slash": (claim(aud=f"{AUDIENCE}/"), "wrong-audience"),
    "for us in upper case": (claim(aud=AUDIENCE.upper()), "wrong-audience"),
    "for what begins like us": (claim(aud=f"{AUDIENCE}.evil.example"), "wrong-audience"),
    "for nobody": (claim(aud=ABSENT), "missing-claim"),
    "for several": (claim(aud=[AUDIENCE, OTHER]), "bad-claim"),
    "for one, as a list": (claim(aud=[AUDIENCE]), "bad-claim"),
    "for the URI": (claim(aud=f"api://{AUDIENCE}"), "wrong-audience"),
    "for a token exchange": (claim(aud="api://AzureADTokenExchange"), "wrong-audience"),
    "of another tenant's issuer": (lambda e: other_issuer(e)(e), "wrong-issuer"),
    "of another tenant altogether": (
        lambda e: e.issue(agent_app(e), iss=f"{e.url}/{OTHER}/v2.0", tid=OTHER),
        "wrong-issuer",
    ),
    "of version 1": (claim(ver="1.0", iss=f"https://sts.windows.net/{TENANT}/"), "wrong-version"),
    "of the real Entra": (claim(iss=f"https://login.microsoftonline.com/{TENANT}/v2.0"), "wrong-issuer"),
    "of the real Entra's version 1": (claim(iss=f"https://sts.windows.net/{TENANT}/"), "wrong-issuer"),
    "of an issuer with a slash": (lambda e: claim(iss=f"{e.issuer}/")(e), "wrong-issuer"),
    "of an issuer behind another host": (lambda e: claim(iss=f"https://evil.example/{e.issuer}")(e), "wrong-issuer"),
    "of an issuer that begins like ours": (lambda e: claim(iss=f"{e.issuer}.evil.example")(e), "wrong-issuer"),
    "of any tenant": (lambda e: claim(iss=f"{e.url}/{{tenantid}}/v2.0")(e), "wrong-issuer"),
    "of personal accounts": (
        lambda e: claim(iss=f"{e.url}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0")(e),
        "wrong-issuer",
    ),
    "of another cloud": (claim(iss=f"https://login.microsoftonline.us/{TENANT}/v2.0"), "wrong-issuer"),
    "tenant by name": (claim(tid="contoso.example"), "wrong-tenant"),
    "no tenant": (claim(tid=ABSENT), "missing-claim"),
    "tenant differs from issuer": (claim(tid=OTHER), "wrong-tenant"),
    # 10: when
    "no end": (claim(exp=ABSENT), "missing-claim"),
    "end as text": (claim(exp=str(NOW + 600)), "bad-claim"),
    "end as 1e12": (claim(exp=1e12), "bad-claim"),
    "end as a fraction": (claim(exp=NOW + 600.5), "bad-claim"),
    "no issue": (claim(iat=ABSENT), "missing-claim"),
    "no beginning": (claim(nbf=ABSENT), "missing-claim"),
    "ended just beyond the leeway": (at(exp=-61), "expired"),
    "end before its beginning": (at(nbf=30, exp=20), "bad-lifetime"),
    "end true": (claim(exp=True), "bad-claim"),
    "end negative": (claim(exp=-1), "bad-claim"),
    "end 2^63": (claim(exp=2**63), "bad-claim"),
    "end in ten years": (claim(exp=NOW + 10 * 365 * 86_400), "bad-lifetime"),
    "ended": (at(exp=-120), "expired"),
    "not begun": (at(nbf=600), "not-yet-valid"),
    "dated ahead": (at(iat=600), "issued-in-future"),
    "of last week": (claim(iat=NOW - 7 * 86_400), "too-old"),
    # 11 to 13: what kind, and of whom
    "id token": (claim(azp=ABSENT, idtyp=ABSENT, nonce="n", sub="pairwise"), "id-token"),
    "id token for its own app": (claim(azp=ABSENT, idtyp=ABSENT, aud=OTHER, nonce="n"), "id-token"),
    "id token without a nonce": (claim(azp=ABSENT, idtyp=ABSENT, azpacr=ABSENT, aud=OTHER), "id-token"),
    "refresh token": (lambda e: "0.AXYA" + "b" * 900, "malformed-token"),
    "agent's token for an exchange": (
        claim(aud="api://AzureADTokenExchange", xms_act_fct="11", xms_sub_fct="11"),
        "wrong-audience",
    ),
    "assertion of an app for itself": (
        lambda e: e.sign(
            {"aud": f"{e.url}/{TENANT}/oauth2/v2.0/token", "iss": OTHER, "sub": OTHER, "jti": "1", "exp": NOW + 300}
        ),
        "missing-claim",
    ),
    "id token dressed up": (claim(nonce="n"), "id-token"),
    "token without a kind": (claim(idtyp=ABSENT), "unknown-kind"),
    "no object id": (claim(oid=ABSENT), "missing-claim"),
    "object id as SQL": (claim(oid="' OR 1=1"), "bad-claim"),
    "groups as text": (claim(groups=GROUP), "bad-claim"),
    "groups with spaces": (claim(groups=[f" {GROUP}"]), "bad-claim"),
    "groups by name": (claim(groups=["jit-schema-checks"]), "bad-claim"),
    "roles as text": (claim(roles="Database.Read"), "bad-claim"),
    "contexts as text": (claim(acrs="c1"), "bad-claim"),
    "credential as a number": (claim(azpacr=2), "bad-claim"),
    "two credentials": (claim(azpacr="1", appidacr="2"), "bad-claim"),
    "two apps": (claim(azp=OTHER, appid=TENANT), "bad-claim"),
    "blueprint that is none": (claim(xms_par_app_azp="x"), "bad-claim"),
    "an app with the scopes of a user": (claim(scp="access"), "unknown-kind"),
    "groups here and elsewhere": (claim(_claim_names={"groups": "src1"}), "groups-overage"),
    "groups as an object": (claim(groups={GROUP: 1}), "bad-claim"),
    "groups as numbers": (claim(groups=[1, 2]), "bad-claim"),
    "ten thousand groups": (claim(groups=[GROUP] * 10_000), "token-too-large"),
    "groups elsewhere": (
        claim(
            groups=ABSENT,
            _claim_names={"groups": "src1"},
            _claim_sources={"src1": {"endpoint": "http://169.254.169.254/latest/meta-data"}},
        ),
        "groups-overage",
    ),
    "groups in a file": (
        claim(_claim_names={"groups": "src1"}, _claim_sources={"src1": {"endpoint": "file:///etc/passwd"}}),
        "groups-overage",
    ),
    "groups too many to say": (claim(groups=ABSENT, hasgroups=True), "groups-overage"),
    # 15 and 16: the text itself
    "Bearer in front": (lambda e: f"Bearer {good(e)}", "malformed-token"),
    "space in front": (lambda e: f" {good(e)}", "malformed-token"),
    "newline behind": (lambda e: f"{good(e)}\n", "malformed-token"),
    "four segments": (lambda e: f"{good(e)}.AAAA", "malformed-token"),
    "padding behind": (lambda e: f"{good(e)}==", "malformed-token"),
    "another spelling of the last character": (lambda e: respelled(good(e)), "malformed-token"),
    "five megabytes": (lambda e: good(e) + "A" * 5_000_000, "token-too-large"),
}


def respelled(token: str) -> str:
    """The same signature bytes with unused last bits set: 256 bytes leave four of them over."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]
