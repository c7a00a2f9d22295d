"""The traffic of a session: each message of the client is judged, recorded and forwarded, or refused in its place.

This room decides what goes to the server, what the client receives, which records are written, and when one side has
to wait for the other. Its files are pure, frames and the time in, bytes and records out, but for those that move the
bytes (`pump.py`, `client_traffic.py`, `catch_up.py`, `waits.py`, `own_cancel.py`, `ending.py`) and `kept_results.py`,
which has results written to their files.

- **frame**: one message as bytes, in full or cut at its limit (`pgwire.framing`).
- **request**: a message that the server answers, from its bytes to the last message of the answer (`in_flight.py`).
  It is sent, refused, cut, failed or done.
- **exchange**: one execution with all its messages, while nothing else is with the server (`exchange.py`): most
  drivers send one, and wait. It is one object until something unusual happens; then its requests take its place.
- **run**: one execution of a statement. It has one record before it begins and one for its outcome (`recorder.py`).
- **plan** and **step**: the result of a batch of the client's frames, and of a piece of the server's stream.
- **rejection**: a text with a one-off token that replaces a refused message. The server must reject it, and its error
  becomes ours (`rejection.py`, `refusal.py`).

Start with `pump.py`, which has both links, and `client_traffic.py`: it deals with the client's messages as they
arrive, writes the records of a plan, then sends its bytes. `catch_up.py` deals with messages that
have to wait; what they may wait for is in `waits.py`.
`client_side.py` has a branch for each message of the client (`extended_messages.py`: those of the extended
protocol), `server_side.py` for each answer; the client's everyday messages take `short_way.py`. Usual answers are
in the tables of `server_acts.py`, and errors in `server_errors.py`. Both work on one `RelayState`
(`relay_state.py`), whose states and transitions are tables in `transitions.py`. What a name stands for is in
`prepared_statements.py`, and what runs when it is executed in `executed_statement.py`. COPY is in `copy_in.py`, the
limits of results in `budget.py` and `limits.py`, pgjit's own answers and notices in `show_pgjit.py` and
`notices.py`.

The room does not judge statements (`pgjit.judging` does), and knows neither how a client logged in nor how a window
ends. It does not open or close links.
"""
