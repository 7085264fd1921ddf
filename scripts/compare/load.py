"""Sends HTTP requests in a closed loop and times each answer.

One thread and one poll loop serve every connection, and answers are not
parsed beyond their length: a request costs some 50 µs of our processor time,
so that the two cores are left to the server.
"""

import selectors
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from access import HEADER_LINES

RECEIVE_BYTES = 1 << 18


@dataclass(frozen=True)
class Request:
    """A whole HTTP request, and the group that its latency is counted in."""

    group: str
    content: bytes


@dataclass
class Run:
    """What a closed loop saw."""

    seconds: float = 0.0
    """From the first request to the last answer."""
    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds of each request, by group."""

    def all_latencies(self) -> list[float]:
        """Seconds of every request."""
        return [seconds for group in self.latencies.values() for seconds in group]


def get_request(group: str, path: str) -> Request:
    """A GET request."""
    return Request(group, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{HEADER_LINES}\r\n".encode())


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that `percent` percent of the values do not exceed."""
    ranked = sorted(values)
    rank = -int(-len(ranked) * percent // 100)
    return ranked[max(rank, 1) - 1]


class _Connection:
    """One client: a request under way, and what came back of its answer."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.request = Request("", b"")

    def start(self, request: Request) -> None:
        self.request = request
        self.unsent = memoryview(request.content)
        self.received = bytearray()
        self.body_start = self.body_bytes = -1
        self.started = time.perf_counter()

    def send(self) -> bool:
        """Sends what fits; answers whether everything is sent."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            pass
        return not self.unsent

    def receive(self) -> bool:
        """Reads what is there; answers whether the answer is whole."""
        try:
            part = self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return False
        if not part:
            raise RuntimeError(f"the server closed the connection: {bytes(self.received[:500])!r}")
        self.received += part
        if self.body_start < 0 and (end := self.received.find(b"\r\n\r\n")) >= 0:
            self.body_start = end + 4
            self.body_bytes = _content_length(bytes(self.received[:end]))
        return self.body_start >= 0 and len(self.received) >= self.body_start + self.body_bytes

    def answer(self) -> tuple[int, bytes]:
        """Status and body of a whole answer."""
        return int(self.received[9:12]), bytes(self.received[self.body_start :])


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError(f"an answer without content-length cannot be timed: {head.decode()}")


def closed_loop(
    address: str,
    requests: Iterator[Request],
    connections: int,
    check: Callable[[int, bytes], None],
) -> Run:
    """Sends `requests` until they end, each connection one after the other.
    `check` gets status and body of every answer and raises on a wrong one."""
    run = Run()
    selector = selectors.DefaultSelector()
    started = time.perf_counter()
    open_connections = 0
    for _ in range(connections):
        connection = _Connection(address)
        open_connections += _next_request(connection, requests, selector, first=True)
    while open_connections:
        for key, events in selector.select(timeout=120) or _nothing_came():
            connection = key.data
            if events & selectors.EVENT_WRITE and connection.send():
                selector.modify(connection.socket, selectors.EVENT_READ, connection)
            if events & selectors.EVENT_READ and connection.receive():
                seconds = time.perf_counter() - connection.started
                run.latencies[connection.request.group].append(seconds)
                check(*connection.answer())
                open_connections -= not _next_request(connection, requests, selector)
    run.seconds = time.perf_counter() - started
    return run


def _next_request(
    connection: _Connection,
    requests: Iterator[Request],
    selector: selectors.BaseSelector,
    first: bool = False,
) -> bool:
    """Starts the connection's next request; closes it when there is none."""
    request = next(requests, None)
    if request is None:
        if not first:
            selector.unregister(connection.socket)
        connection.socket.close()
        return False
    connection.start(request)
    events = selectors.EVENT_READ
    if not connection.send():
        events |= selectors.EVENT_WRITE
    (selector.register if first else selector.modify)(connection.socket, events, connection)
    return True


def _nothing_came() -> list:
    raise RuntimeError("no answer within 120 s")
