"""Dashboards beside analysts: latencies of dashboard routes while nobody runs
SQL, while ten analysts run heavy statements without a pause, and afterwards."""

import itertools
import multiprocessing
import threading
from datetime import date
from typing import Any

from analyst import QUERIES
from client import Busy, Client
from dashboards import CLIENTS, Dashboards, Population
from load import closed_loop, percentile
from questions import Subjects

ANALYSTS = 10
GROUPS = ["organization", "user"]
# Statements that read everything; a needle would not stand in anybody's way.
HEAVY = [
    "dearest conversations of all",
    "distinct users and conversations by provider",
    "dearest day of each organization",
    "how long calls last, by second",
    "topics that name a word",
]
START_SECONDS_MAX = 120


def measure_beside(address: str, first: date, last: date, requests: int, about: Subjects) -> dict[str, Any]:
    """p50 and p99 of `requests` dashboard requests, idle and under load. Each
    phase asks other questions, so that none is answered from memory."""
    client = Client(address)
    population = Population.read(client, first, last)
    tokens = [client.analyst_token(str(number)) for number in range(ANALYSTS)]
    client.close()
    dashboards = Dashboards(population, seed=11)
    _timed(address, dashboards, requests // 10)
    idle = _timed(address, dashboards, requests)
    with Analysts(address, tokens, first, last, about) as analysts:
        busy = _timed(address, dashboards, requests)
        statements = analysts.finished()
    after = _timed(address, dashboards, requests)
    return {
        "analysts": ANALYSTS,
        "clients": CLIENTS,
        "statements_meanwhile": statements,
        "idle": idle,
        "busy": busy,
        "after": after,
        "p50_ratio": busy["p50_ms"] / idle["p50_ms"],
        "p99_ratio": busy["p99_ms"] / idle["p99_ms"],
    }


class Analysts:
    """Connections of analysts in a process of their own, so that reading their
    answers takes nothing from the thread that times dashboards."""

    def __init__(self, address: str, tokens: list[str], first: date, last: date, about: Subjects) -> None:
        names = {"organization": about.organization, "conversation": "", "event": ""}
        days = {"month": last.replace(day=1), "middle": first + (last - first) / 2}
        texts = [QUERIES[name].format(**names, **days) for name in HEAVY]
        context = multiprocessing.get_context("spawn")
        self._stop, self._started = context.Event(), context.Event()
        self._finished = context.Value("q", 0)
        self._failed = context.Queue()
        shared = (self._stop, self._started, self._finished, self._failed)
        self._process = context.Process(target=_analysts, args=(address, tokens, texts, *shared))

    def __enter__(self) -> "Analysts":
        self._process.start()
        if not self._started.wait(START_SECONDS_MAX):
            raise RuntimeError("the analysts did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        # A statement under way is cancelled by its client going away.
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def finished(self) -> int:
        """Statements answered so far; raises when one was refused."""
        if not self._failed.empty():
            raise RuntimeError(f"a statement failed: {self._failed.get()}")
        return self._finished.value


def _analysts(
    address: str, tokens: list[str], texts: list[str], stop: Any, started: Any, finished: Any, failed: Any
) -> None:
    def work(number: int) -> None:
        client = Client(address, tokens[number])
        try:
            for at in itertools.count(number):
                if stop.is_set():
                    return
                try:
                    client.sql(texts[at % len(texts)])
                except Busy:
                    continue
                with finished.get_lock():
                    finished.value += 1
        except Exception as error:
            if not stop.is_set():
                failed.put(str(error))

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(tokens))]
    for thread in threads:
        thread.start()
    started.set()
    stop.wait()


def _timed(address: str, dashboards: Dashboards, requests: int) -> dict[str, Any]:
    run = closed_loop(address, dashboards.requests(GROUPS, requests), CLIENTS, _check)
    latencies = run.all_latencies()
    return {
        "requests": len(latencies),
        "requests_per_second": len(latencies) / run.seconds,
        **{f"p{at}_ms": 1e3 * percentile(latencies, at) for at in (50, 95, 99)},
        "max_ms": 1e3 * max(latencies),
    }


def _check(status: int, body: bytes) -> None:
    if status != 200:
        raise RuntimeError(f"a dashboard was answered {status}: {body[:500]!r}")
