"""Ports of servers that tests start: nobody else is given one, whether its server runs or not."""

from __future__ import annotations

import socket

import server_support
from server_support import MOST_HELD, free_port, hold


def test_a_port_is_given_once_while_nobody_listens_there() -> None:
    port = free_port()
    assert not hold(port)
    with socket.socket() as server:
        # Its server is to come, and is not kept out.
        server.bind(("127.0.0.1", port))


def test_a_port_where_somebody_listens_is_not_given() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        # Whoever holds it no more: its server shows that it is taken.
        for _ in range(MOST_HELD):
            free_port()
        assert len(server_support._held) == MOST_HELD
        assert not hold(server.getsockname()[1])
