"""Who is calling: turns an access token into an Identity, and looks up of which groups it is a member.

This room decides whether a token is accepted and which identity it proves. Authorization is not decided here: the
policies say what an identity may do.

Words:
- identity: a caller with a verified token, known by tenant id and object id (Identity, IdentityKey).
- provider: verifies the tokens of one kind of issuer (Provider; the plug-ins are in `providers/`).
- claims: the payload of a token. They are read only after the signature is verified.
- key set: the signing keys of one issuer (SigningKeys); a KeyRing holds those of all accepted issuers.
- directory: where group memberships are looked up while sessions are open (Directory; Microsoft Graph).

A reader starts in `identity.py` (the value) and `provider.py` (the contract). A token goes through `verification.py`:
`jws.py` parses it, `signing_keys.py` fetches and refreshes the key sets, then `entra_claims.py` or `oidc_claims.py`
reads the claims. Memberships: `directory.py` (the contract), `graph.py`, and `membership_rechecks.py`, which decides
when a membership is looked up again and what the answer means. pgjit's own tokens for Graph come from
`client_credentials.py` or `managed_identity_tokens.py`. The configuration is in `section.py`.

INVARIANT: no URL comes from a token; no token, secret or assertion is in a log or an error; no display name is
compared.

It does not know policies, windows, sessions or the wire protocol.
"""
