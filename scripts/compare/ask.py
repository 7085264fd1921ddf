"""Asks named questions and analysts' queries of Spendlake and of its peers, one
client at a time, and compares both answers and times."""

import statistics
import sys
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import partial
from math import exp, log
from typing import Any

from analyst import QUERIES
from client import Answer, Client
from differences import difference
from peers import Peer, Rows
from questions import DAYS, Period, Subjects, questions

REPEATS = 5


def measure_questions(address: str, peers: list[Peer], subjects: Subjects, last: date) -> dict[str, Any]:
    """Every named question. Each repetition asks about a period that ends a day
    earlier, so that no answer was given before."""

    def one(client: Client, question: Any) -> dict[str, Any]:
        def period(repeat: int) -> Period:
            end = last - timedelta(days=repeat)
            return Period(end - timedelta(days=DAYS - 1), end)

        return _compared(
            peers,
            ours=lambda repeat: client.get(question.path(period(repeat))),
            theirs=lambda peer, repeat: peer.ask(question.query(period(repeat))),
            read=question.read,
            shape=question.shape,
        )

    client = Client(address)
    asked = {question.name: partial(one, client, question) for question in questions(subjects)}
    results = _each(asked, peers)
    client.close()
    return results


def named(client: Client, subjects: Subjects, first: date, last: date) -> dict[str, str]:
    """What the texts of analysts' queries name."""
    [busiest] = client.sql(
        f"SELECT conversation_id FROM usage_events WHERE organization_id = '{subjects.organization}' "
        "GROUP BY conversation_id ORDER BY count(*) DESC, conversation_id LIMIT 1"
    ).json()
    [event] = client.sql(
        "SELECT min(event_id) AS event_id FROM usage_events "
        f"WHERE conversation_id = '{busiest['conversation_id']}'"
    ).json()
    return {
        "organization": subjects.organization,
        "conversation": busiest["conversation_id"],
        "event": event["event_id"],
        "middle": str(first + (last - first) / 2),
        "month": str(last - timedelta(days=DAYS - 1)),
    }


def measure_analyst(
    address: str, peers: list[Peer], subjects: Subjects, first: date, last: date
) -> dict[str, Any]:
    """Every query of an analyst, over raw events."""
    client = Client(address)
    names = named(client, subjects, first, last)

    def one(query: str) -> dict[str, Any]:
        return _compared(
            peers,
            ours=lambda _: client.sql(query),
            theirs=lambda peer, _: peer.ask(query),
            read=list,
            shape=list,
        )

    asked = {name: partial(one, text.format(**names)) for name, text in QUERIES.items()}
    results = _each(asked, peers)
    client.close()
    return results


def measure_reach(address: str, subjects: Subjects, first: date, last: date) -> dict[str, Any]:
    """Queries about one organization, asked by somebody who may see everything
    and by an analyst of that organization: what the tenant wall costs."""
    everything = Client(address)
    own = Client(address, everything.analyst_token("own", subjects.organization))
    names = named(everything, subjects, first, last)
    questions, differences = {}, []
    for name, text in QUERIES.items():
        if "{organization}" not in text:
            continue
        query = text.format(**names)
        answers = [(everything.sql(query), own.sql(query)) for _ in range(REPEATS + 1)]
        if any(free.body != within.body for free, within in answers):
            differences.append(f"{name}: an analyst of the organization is answered something else")
        free, within = (statistics.median(one.seconds for one in side[1:]) for side in zip(*answers, strict=True))
        questions[name] = {"everything_ms": 1e3 * free, "own_ms": 1e3 * within}
    everything.close()
    own.close()
    ratios = [one["own_ms"] / one["everything_ms"] for one in questions.values()]
    mean = exp(sum(map(log, ratios)) / len(ratios))
    return {"questions": questions, "own_over_everything": mean, "failures": differences}


def _each(asked: Mapping[str, Callable[[], dict[str, Any]]], peers: list[Peer]) -> dict[str, Any]:
    """Every comparison. One that fails is told like a difference, and does not
    stop the others."""
    results, failures = {}, []
    for name, compare in asked.items():
        print(f"  {name}", file=sys.stderr)
        try:
            results[name] = compare()
        except Exception as error:
            failures.append(f"{name}: {error}")
    return _with_means(results, peers) | {"failures": failures}


def _compared(
    peers: list[Peer],
    ours: Callable[[int], Answer],
    theirs: Callable[[Peer, int], Rows],
    read: Callable[[Any], list[dict[str, Any]]],
    shape: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
) -> dict[str, Any]:
    """Times and differences of one question; the first round only warms up."""
    times: dict[str, list[float]] = {"Spendlake": [], **{peer.name: [] for peer in peers}}
    differences = []
    for repeat in range(REPEATS, -1, -1):
        answer = ours(repeat)
        times["Spendlake"].append(answer.seconds)
        rows = read(answer.json())
        for peer in peers:
            asked = theirs(peer, repeat)
            times[peer.name].append(asked.seconds)
            found = difference(rows, shape(asked.dicts()))
            if found:
                differences.append(f"{peer.name}, round {REPEATS - repeat}: {found}")
    return {
        "rows": len(rows),
        "differences": differences,
        "best_ms": {name: 1e3 * min(seconds[1:]) for name, seconds in times.items()},
        "median_ms": {name: 1e3 * statistics.median(seconds[1:]) for name, seconds in times.items()},
    }


def _with_means(results: dict[str, Any], peers: list[Peer]) -> dict[str, Any]:
    """The results, and how many times a peer's time is ours, as geometric means."""

    def mean(peer: Peer, which: str) -> float:
        ratios = [one[which][peer.name] / one[which]["Spendlake"] for one in results.values()]
        return exp(sum(map(log, ratios)) / max(len(ratios), 1))

    means = {peer.name: {"median": mean(peer, "median_ms"), "best": mean(peer, "best_ms")} for peer in peers}
    return {"questions": results, "times_ours": means}
