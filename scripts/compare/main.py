"""Measures everything in one run and prints the table; run.sh starts it.

Exit code 1: an answer differed, an event was lost or counted twice, or a part failed.
"""

import argparse
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from ask import measure_analyst, measure_questions, measure_reach
from attribution import ATTRIBUTED, directory_of
from beside import measure_beside
from client import Client
from dashboards import measure_dashboards
from events import Bodies
from ingest import measure_ingest, measure_restart
from lake import active_files, link_files
from machine import machine, versions
from peers import ChDb, DuckDb, Peer
from questions import Subjects
from report import faults, table
from server import Server, command, environment

PARTS = ("ingest", "restart", "dashboards", "beside", "questions", "analyst", "reach")
# A smaller sample shows how latencies grow with it.
SMALL = 10
# Dashboards that are open at the same time.
LEVELS = [["organization", "user"], ["platform"]]
# Different bodies to send, and the events of each.
BODIES, BODY_EVENTS = 64, 1000


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, required=True, help="the release build of spendlake")
    parser.add_argument("--dir", type=Path, required=True, help="where samples are kept between runs")
    parser.add_argument("--events", type=int, default=10_000_000, help="events of the sample")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--ingest-seconds", type=float, default=20)
    parser.add_argument("--requests", type=int, default=4000, help="dashboard requests of each level")
    given = parser.parse_args()
    given.only = given.only.split(",")
    unknown = set(given.only) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; parts are {', '.join(PARTS)}")
    return given


def prepare(binary: Path, data_dir: Path, events: int) -> dict[str, Any]:
    """Makes the sample, or finds it, and compacts it."""
    say(f"sample of {events:,} events in {data_dir}")
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    # Request traces that may lie about would make the sample another one.
    demo = ["demo", "--no-serve", f"--events={events}", f"--traces={data_dir}.no-traces"]
    for verb in (demo, ["compact"]):
        line = command(binary, data_dir, *verb)
        subprocess.run(line, check=True, stdout=sys.stderr, env=environment())
    stored, daily = active_files(data_dir), active_files(data_dir, "usage_daily")
    if stored.rows != events:
        raise RuntimeError(f"{data_dir} holds {stored.rows} events instead of {events}; delete it")
    days = sorted(path.parent.name.removeprefix("usage_date=") for path in stored.paths)
    return {
        "events": stored.rows,
        "daily_rows": daily.rows,
        "files": len(stored.paths),
        "first": days[0],
        "last": days[-1],
        "bytes_per_event": stored.bytes / events,
        "bytes_per_event_with_daily": (stored.bytes + daily.bytes) / events,
    }


def dates(dataset: dict[str, Any]) -> tuple[date, date]:
    """The first and the last date that hold events."""
    return date.fromisoformat(dataset["first"]), date.fromisoformat(dataset["last"])


def subjects(address: str, dataset: dict[str, Any]) -> Subjects:
    """The organization with the most events, and its user with the most."""
    client = Client(address)
    most = f"date_from={dataset['first']}&date_to={dataset['last']}&sort=total_events&limit=1"
    [organization] = client.get(f"/api/platform/analytics/organizations?{most}").json()["items"]
    one = organization["organization_id"]
    [user] = client.get(f"/api/organizations/{one}/analytics/users?{most}").json()["items"]
    client.close()
    return Subjects(one, user["user_id"])


def measure(given: argparse.Namespace, results: dict[str, Any]) -> None:
    """Puts every part that was asked for into `results`. A part that fails does
    not stop the others."""
    large = given.dir / f"events-{given.events}"
    results["dataset"] = {"large": prepare(given.binary, large, given.events)}
    parts: dict[str, Callable[[], None]] = {
        "ingest": lambda: ingest(given, large, results),
        "restart": lambda: restart(given, large, results),
        "dashboards": lambda: dashboards(given, large, results),
        "beside": lambda: beside(given, large, results),
        "questions": lambda: questions(given, large, results),
        "analyst": lambda: analyst(given, large, results),
        "reach": lambda: reach(given, large, results),
    }
    for name in given.only:
        say(name)
        try:
            parts[name]()
        except Exception as error:
            traceback.print_exc()
            results["failures"].append(f"{name}: {error}")


def ingest(given: argparse.Namespace, large: Path, results: dict[str, Any]) -> None:
    """Durable ingest into a new data directory."""
    files = active_files(large).paths
    bodies = Bodies(files, BODIES, BODY_EVENTS)
    fresh, names = given.dir / "fresh", large / "directory.json"
    results["ingest"] = measure_ingest(given.binary, bodies, names, fresh, given.ingest_seconds)
    silent = Bodies(files, BODIES, BODY_EVENTS, unsaid=ATTRIBUTED)
    records = directory_of(files)
    results["ingest_attributed"] = measure_ingest(
        given.binary, silent, names, fresh, given.ingest_seconds, records
    )


def restart(given: argparse.Namespace, large: Path, results: dict[str, Any]) -> None:
    """A start with a long log."""
    bodies = Bodies(active_files(large).paths, BODIES, BODY_EVENTS)
    fresh, names = given.dir / "fresh", large / "directory.json"
    results["restart"] = measure_restart(given.binary, bodies, names, fresh)


def dashboards(given: argparse.Namespace, large: Path, results: dict[str, Any]) -> None:
    """Dashboards over the sample, and over one of a tenth of the size."""
    with Server(given.binary, large) as server:
        whole = dates(results["dataset"]["large"])
        results["dashboards_large"] = measure_dashboards(server.address, *whole, given.requests, LEVELS)
        resident, peak = server.memory_bytes()
        results["memory"] = {"resident_bytes": resident, "peak_bytes": peak}
        results["start_seconds"] = server.ready_seconds
    small = given.dir / f"events-{given.events // SMALL}"
    results["dataset"]["small"] = prepare(given.binary, small, given.events // SMALL)
    with Server(given.binary, small) as server:
        whole = dates(results["dataset"]["small"])
        results["dashboards_small"] = measure_dashboards(server.address, *whole, given.requests, LEVELS[:1])


def beside(given: argparse.Namespace, large: Path, results: dict[str, Any]) -> None:
    """Dashboards while ten analysts run heavy SQL."""
    dataset = results["dataset"]["large"]
    with Server(given.binary, large) as server:
        about = subjects(server.address, dataset)
        results["beside"] = measure_beside(server.address, *dates(dataset), given.requests, about)


def questions(given: argparse.Namespace, large: Path, results: dict[str, Any]) -> None:
    """Named questions. The server is a new process: nothing is answered from
    what dashboards asked."""
    links = link_files(active_files(large), given.dir / "links")
    dataset = results["dataset"]["large"]
    with Server(given.binary, large) as server:
        about = subjects(server.address, dataset)
        peers: list[Peer] = [DuckDb(links), ChDb(links)]
        results["questions"] = measure_questions(server.address, peers, about, dates(dataset)[1])


def analyst(given: argparse.Namespace, large: Path, results: dict[str, Any]) -> None:
    """SQL on raw events."""
    links = link_files(active_files(large), given.dir / "links")
    dataset = results["dataset"]["large"]
    with Server(given.binary, large) as server:
        about = subjects(server.address, dataset)
        peers: list[Peer] = [DuckDb(links), ChDb(links)]
        results["analyst"] = measure_analyst(server.address, peers, about, *dates(dataset))


def reach(given: argparse.Namespace, large: Path, results: dict[str, Any]) -> None:
    """SQL of somebody who may see one organization only."""
    dataset = results["dataset"]["large"]
    with Server(given.binary, large) as server:
        about = subjects(server.address, dataset)
        results["reach"] = measure_reach(server.address, about, *dates(dataset))


def main() -> int:
    """Runs the parts; answers the exit code."""
    given = arguments()
    started = time.perf_counter()
    results: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "versions": versions(given.binary),
        "failures": [],
    }
    measure(given, results)
    results["run_seconds"] = time.perf_counter() - started
    path = given.dir / f"results-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps(results, indent=1))
    print(table(results), flush=True)
    say(f"{results['run_seconds'] / 60:.1f} minutes; everything measured is in {path}")
    found = faults(results)
    for one in found:
        print(f"FAULT  {one}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
