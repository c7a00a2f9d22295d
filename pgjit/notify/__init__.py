"""Notifications: who hears of requests, verdicts, break-glass access, revocations and locks, and by which channel.

This room decides when a message is sent, how often it is tried, what it says, and how each kind of channel says it.
It decides no request: a click in Slack goes to the same `Requests` service as a call of the HTTP API.

- **notice**: a change that people may want to hear of, stored in the transaction of the change
  (`grants/notification.py`).
- **notification**: one message about one notice, for one channel. It is in the store until it was sent or given up.
- **channel**: what sends (`channel.py`): a webhook, Slack, Teams, e-mail.
- **announcement**: what a message says, whatever the channel: a title, facts, a link (`announcement.py`).
- **place**: where a message is that was sent, so that a later one can replace it.

Start with `notifier.py`: notices become notifications, and each channel sends its own in a loop of its own.
`section.py` has the keys of the configuration, `channels.py` makes channels from them, `events.py` lists the events.
`webhook.py` signs by `webhook_signature.py` and posts by `http_post.py`.

The room does not know sessions or the wire protocol. It holds up nobody: a change is done when it is in the store,
whether its notification can be sent or not.

INVARIANT: the values in an announcement were written by anybody. Each channel escapes them.
"""
