"""Everything before a client is authenticated.

This room decides how many connections are accepted, which messages may come before the session, which startup
parameters are accepted, and how refused connections are recorded.

- **connection limits**: in total and from one address; a few connections above them are accepted to send an error
  (`connection_limits.py`).
- **handshake**: from the raw socket to the startup message or cancel request inside TLS (`handshake.py`).
- **startup request**: the parsed startup message: user, database, reason, ticket and settings (`startup_request.py`).
- **startup settings**: the settings of a startup request that the policy accepts (`startup_settings.py`).
- **client authentication**: the token as a password or by OAUTHBEARER (`client_authentication.py`).
- **waiting logins**: how many logins may wait for a verdict at once (`waiting_logins.py`).
- **refused logins**: the record of each connection that does not become a session (`refused_logins.py`).

Start with `handshake.py`; `proxy/listener.py` and `proxy/session.py` call these modules in the order above. A startup
parameter is parsed in `startup_request.py`, checked against the policy in `startup_settings.py`, and sent to the
server by `proxy/server_settings.py`.

The room does not know windows, servers or statements. It does not verify tokens: the identity provider does.
"""
