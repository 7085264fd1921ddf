"""Bodies of events to send, made from stored ones."""

import json
import random
import uuid
from collections import defaultdict
from collections.abc import Iterator, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as parquet

from access import HEADER_LINES

# What a sender says; the server adds the date, the cost and the price list.
COPIED = (
    "source organization_id team_id department user_id api_key_id provider model_name status topic "
    "input_tokens cache_read_tokens cache_write_tokens cache_write_1h_tokens output_tokens "
    "reasoning_tokens charged_cost duration_ms"
).split()

MARK = "@serial@"
"""Stands for the serial number of the body, in event and conversation ids."""


class Bodies:
    """NDJSON bodies with ids that never repeat.

    A body is kept as the pieces between its ids' ends: joining them with a
    serial number makes a new body in some 100 µs, so the sender needs neither
    time nor memory for millions of prepared events.
    """

    def __init__(self, files: list[Path], bodies: int, events: int, unsaid: Set[str] = frozenset()) -> None:
        """Up to `bodies` different bodies of `events` lines each, from the
        latest of `files`, as whole conversations in random order. The fields
        `unsaid` are left out."""
        self.events = events
        self._said = [name for name in COPIED if name not in unsaid]
        self._random = random.Random(1)
        lines = self._lines(files, bodies * events)
        count = len(lines) // events
        if count == 0:
            raise RuntimeError(f"the sample holds {len(lines)} events; a body needs {events}")
        self._pieces = []
        for number in range(count):
            chunk = lines[number * events : (number + 1) * events]
            # Calls of several conversations reach a gateway mixed.
            self._random.shuffle(chunk)
            self._pieces.append("".join(chunk).encode().split(MARK.encode()))
        self.line_bytes = len(self.body(0)) / events

    def body(self, serial: int) -> bytes:
        """The body number `serial`; no id occurs in two of them."""
        pieces = self._pieces[serial % len(self._pieces)]
        return f"{serial:012d}".encode().join(pieces)

    def requests(self) -> Iterator[bytes]:
        """Endless POST requests, each with a new body."""
        serial = 0
        while True:
            body = self.body(serial)
            head = (
                f"POST /api/events HTTP/1.1\r\nHost: localhost\r\n{HEADER_LINES}"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            yield head.encode() + body
            serial += 1

    def _lines(self, files: list[Path], wanted: int) -> list[str]:
        conversations: dict[str, list[dict]] = defaultdict(list)
        found = 0
        for path in sorted(files, reverse=True):
            if found >= wanted:
                break
            # Read as a file: the folder's name is not a column here.
            rows = parquet.ParquetFile(path).read([*COPIED, "conversation_id", "tags"])
            for row in rows.to_pylist():
                conversations[row.pop("conversation_id")].append(row)
            found += rows.num_rows
        ids = sorted(conversations)
        self._random.shuffle(ids)
        now = datetime.now(UTC)
        return [line for one in ids for line in self._conversation_lines(conversations[one], now)][:wanted]

    def _conversation_lines(self, rows: list[dict], now: datetime) -> Iterator[str]:
        conversation = self._id()
        for row in rows:
            time = now - timedelta(seconds=self._random.uniform(1, 60))
            event = {
                "event_id": self._id(),
                "event_time": time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                "conversation_id": conversation,
                **{name: row[name] for name in self._said if row[name] is not None},
                "tags": dict(row["tags"] or []),
            }
            yield json.dumps(event, separators=(",", ":"), default="{:f}".format) + "\n"

    def _id(self) -> str:
        """A UUID whose last twelve digits are the serial number."""
        return str(uuid.UUID(int=self._random.getrandbits(128)))[:24] + MARK
