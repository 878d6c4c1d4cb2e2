"""Loaded by every Python that has this folder on its path: no network, and a record of tries.

Name look-ups, connections and datagrams are written to the file in ABUSE_NETWORK_LOG, then refused.
Sockets within the machine (AF_UNIX) are not network. Code outside of Python is not seen.
"""

import os
import sys

_LOG = os.environ.get("ABUSE_NETWORK_LOG")
_EVENTS = {
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendto",
    "socket.sendmsg",
}


def _block(event: str, arguments: tuple) -> None:
    if event not in _EVENTS:
        return
    address = (
        arguments[1]
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg")
        else arguments[0]
    )
    if isinstance(address, str | bytes) and event.startswith("socket.connect"):
        return  # AF_UNIX
    if event in ("socket.sendto", "socket.sendmsg") and not isinstance(address, tuple):
        return
    line = f"{os.getpid()} {event} {address!r} {' '.join(sys.argv)[:200]}\n"
    with open(_LOG, "a", encoding="utf-8", errors="replace") as log:  # noqa: PTH123
        log.write(line)
    raise PermissionError(f"no network in this test: {event} {address!r}")


if _LOG:
    sys.addaudithook(_block)
