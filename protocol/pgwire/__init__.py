"""The PostgreSQL wire protocol, versions 3.0 and 3.2, sans I/O: bytes in, messages out.

This package decides what a well-formed message is, and which message is legal when. It has no socket, no event loop
and no clock, and imports nothing of pgjit. Both roles use it: the proxy is a server to its client and a client to the
real server.

Words:
- frame: one whole message as bytes: type byte, Int32 length, body (Frame).
- message: a decoded value, such as Bind or Field. `decode_*` reads a body, `encode_*` writes a whole message.
- phase: the state of the client's side: awaiting the password, ready, copying (Phase).
- request: a message that the server answers, such as Parse or Execute (RequestKind).
- control message: any message of the server but DataRow and CopyData, which are only counted (ControlMessage).

A reader starts in `state.py`: its tables decide whether a message is legal now (is Parse legal? FRONTEND; during a
COPY the relay's own table), which responses a request may have (RESPONSES) and which is its last (FINAL_RESPONSES).
`framing.py` cuts a stream into frames, `reader.py` has the parts of a body, `messages/` the messages by phase,
`oauthbearer.py` the SASL mechanism.

INVARIANT: whatever bytes a peer sends, reading raises RemoteProtocolError or returns a value that is written as the
same bytes. A length or a count alone never allocates memory. LocalProtocolError is a fault of the caller.

It does not know SQL, policies or sessions: which startup parameters are accepted is decided in `pgjit.proxy.door`.
"""
