"""Durable ingest: how fast events are acknowledged, and how fast a server with
a long log is ready again. Each event must be counted exactly once."""

import itertools
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attribution import import_directory
from client import Client
from events import Bodies
from lake import active_files, folder_bytes
from load import Request, closed_loop, percentile
from null_server import null_server
from server import Server

CONNECTIONS = 4
RESTART_EVENTS = 1_000_000
# Nothing leaves the log before the process is killed.
KEEP_IN_LOG = {
    "flush_rows_max": 5_000_000,
    "flush_interval_seconds": 100_000,
    "flush_bytes_max": 16 << 30,
    "hot_rows_max": 5_000_000,
}


class Acknowledged:
    """Adds up what the server said."""

    def __init__(self, events: int) -> None:
        self._events = events
        self.total = 0

    def check(self, status: int, body: bytes) -> None:
        """A whole body must be accepted."""
        # The counts stand before the lines' results; the rest is not parsed.
        if status != 200 or not body.startswith(b'{"accepted":%d,' % self._events):
            raise RuntimeError(f"a body was not accepted: {status} {body[:500]!r}")
        self.total += self._events


def measure_ingest(
    binary: Path,
    bodies: Bodies,
    directory: Path,
    folder: Path,
    seconds: float,
    records: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Sends for `seconds` into a new data directory, with every setting at its
    default, so that flush and rollup run meanwhile. With `records` of the
    directory, every event must be attributed by them."""
    with null_server() as address:
        alone = closed_loop(address, _until(bodies, 2.0), CONNECTIONS, lambda *_: None)
    _new_data_dir(folder, directory)
    if records:
        import_directory(binary, folder, records)
    acknowledged = Acknowledged(bodies.events)
    with Server(binary, folder) as server:
        run = closed_loop(server.address, _until(bodies, seconds), CONNECTIONS, acknowledged.check)
        stored = _count(server, acknowledged.total)
        if records:
            _count(server, acknowledged.total, "team_id IS NOT NULL AND department IS NOT NULL")
        commits = {table: active_files(folder, table).version for table in ("usage_events", "usage_daily")}
        resident, _ = server.memory_bytes()
    shutil.rmtree(folder)
    latencies = run.all_latencies()
    return {
        "events": stored,
        "seconds": run.seconds,
        "events_per_second": acknowledged.total / run.seconds,
        "events_per_request": bodies.events,
        "bytes_per_event_sent": bodies.line_bytes,
        "connections": CONNECTIONS,
        "ack_ms": {name: 1e3 * percentile(latencies, at) for name, at in (("p50", 50), ("p99", 99))},
        "commits_meanwhile": commits,
        "sender_alone": bodies.events * len(alone.all_latencies()) / alone.seconds,
        "resident_bytes": resident,
    }


def measure_restart(binary: Path, bodies: Bodies, directory: Path, folder: Path) -> dict[str, Any]:
    """Fills the log with a million events, kills the server with signal 9, and
    times the next start until it is ready."""
    _new_data_dir(folder, directory)
    acknowledged = Acknowledged(bodies.events)
    with Server(binary, folder, KEEP_IN_LOG) as server:
        requests = itertools.islice(_requests(bodies), RESTART_EVENTS // bodies.events)
        closed_loop(server.address, requests, CONNECTIONS, acknowledged.check)
        server.kill()
    log_bytes = folder_bytes(folder / "wal")
    with Server(binary, folder, KEEP_IN_LOG) as server:
        ready_seconds = server.ready_seconds
        stored = _count(server, acknowledged.total)
        # Killed again: moving the events into the lake is not measured here.
        server.kill()
    shutil.rmtree(folder)
    return {"events": stored, "log_bytes": log_bytes, "ready_seconds": ready_seconds}


def _new_data_dir(folder: Path, directory: Path) -> None:
    """An empty data directory that knows the sample's time zones and names."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if directory.exists():
        shutil.copy(directory, folder / "directory.json")


def _requests(bodies: Bodies) -> Iterator[Request]:
    return (Request("events", content) for content in bodies.requests())


def _until(bodies: Bodies, seconds: float) -> Iterator[Request]:
    deadline = time.perf_counter() + seconds
    return itertools.takewhile(lambda _: time.perf_counter() < deadline, _requests(bodies))


def _count(server: Server, acknowledged: int, where: str = "true") -> int:
    """The stored events; an error when they are not the acknowledged ones."""
    client = Client(server.address)
    [row] = json.loads(client.sql(f"SELECT count(*) AS events FROM usage_events WHERE {where}").body)
    client.close()
    if row["events"] != acknowledged:
        raise RuntimeError(f"{acknowledged} events were acknowledged, SQL counts {row['events']} where {where}")
    return acknowledged
