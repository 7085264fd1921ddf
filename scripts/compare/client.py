"""A keep-alive HTTP client that times its requests."""

import http.client
import json
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from access import HEADERS


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes
    seconds: float
    """From sending the request to the last byte of the answer."""

    def json(self) -> Any:
        """The body; numbers with a point become Decimal, never float."""
        return json.loads(self.body, parse_float=Decimal)


class Client:
    """One connection. Answers other than 200 are errors."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=120)

    def get(self, path: str) -> Answer:
        """Asks a route."""
        return self._request("GET", path, None)

    def sql(self, query: str) -> Answer:
        """Runs a statement; the body is a JSON array of objects."""
        body = json.dumps({"query": query, "format": "json"})
        return self._request("POST", "/api/sql", body)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _request(self, method: str, path: str, body: str | None) -> Answer:
        headers = HEADERS | ({"Content-Type": "application/json"} if body else {})
        started = time.perf_counter()
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        seconds = time.perf_counter() - started
        if response.status != 200:
            text = content[:500].decode(errors="replace")
            raise RuntimeError(f"{method} {path} {body or ''}: {response.status} {text}")
        return Answer(response.status, content, seconds)
