"""A keep-alive HTTP client that times its requests."""

import http.client
import json
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from access import TOKEN


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


class Busy(RuntimeError):
    """The server asks to be asked again later."""


class Client:
    """One connection. Answers that are no success are errors."""

    def __init__(self, address: str, token: str = TOKEN) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=120)
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> Answer:
        """Asks a route."""
        return self._request("GET", path, None)

    def sql(self, query: str) -> Answer:
        """Runs a statement; the body is a JSON array of objects."""
        return self.post("/api/sql", {"query": query, "format": "json"})

    def post(self, path: str, body: dict[str, Any]) -> Answer:
        """Posts JSON."""
        return self._request("POST", path, json.dumps(body))

    def analyst_token(self, name: str, organization: str | None = None) -> str:
        """Makes the token of an analyst of the whole platform, or of an organization."""
        grant = {"role": "analyst", "over": "platform"}
        if organization is not None:
            grant |= {"over": "organization", "organization_id": organization}
        answer = self.post("/api/tokens", {"name": f"analyst {name}", "grants": [grant]})
        return answer.json()["secret"]

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _request(self, method: str, path: str, body: str | None) -> Answer:
        headers = self._headers | ({"Content-Type": "application/json"} if body else {})
        started = time.perf_counter()
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        seconds = time.perf_counter() - started
        if response.status == 503:
            raise Busy(content.decode(errors="replace"))
        if not 200 <= response.status < 300:
            text = content[:500].decode(errors="replace")
            raise RuntimeError(f"{method} {path} {body or ''}: {response.status} {text}")
        return Answer(response.status, content, seconds)
