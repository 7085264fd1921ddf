"""A server that reads requests and does nothing: shows what the sender alone
can do, so that a figure of the real server is the server's."""

import multiprocessing
import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@contextmanager
def null_server() -> Iterator[str]:
    """The address of a null server that runs in a process of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_serve, args=(listener,), daemon=True)
    process.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        process.terminate()
        process.join()
        listener.close()


def _serve(listener: socket.socket) -> None:
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    buffer = bytearray(1 << 20)
    # Of each connection: bytes of the request that are still to come.
    missing: dict[socket.socket, int] = {}
    while True:
        for key, _ in selector.select():
            if key.data is None:
                accepted, _ = listener.accept()
                missing[accepted] = 0
                selector.register(accepted, selectors.EVENT_READ, accepted)
                continue
            connection = key.data
            count = connection.recv_into(buffer)
            if count == 0:
                selector.unregister(connection)
                connection.close()
                continue
            if missing[connection] == 0:
                head, _, _ = bytes(buffer[:count]).partition(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                missing[connection] = len(head) + 4 + length
            missing[connection] -= count
            if missing[connection] == 0:
                connection.sendall(ANSWER)
