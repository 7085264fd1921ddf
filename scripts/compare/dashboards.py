"""Dashboard routes under eight clients at once: latencies of answers that are
computed, and of answers that the server still has."""

import itertools
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from client import Client
from load import Request, closed_loop, get_request, percentile

CLIENTS = 8
RANGE_DAYS = (7, 30, 90)
SHIFT_DAYS_MAX = 45
USERS_PER_ORGANIZATION = 200
HOT_REQUESTS = 200
# A slow server gets fewer requests, so that a run ends.
SECONDS_MAX = 120

# Route and weight. A page of an organization opens with its summary and trend.
ORGANIZATION_ROUTES = {
    "summary": 25,
    "trends": 20,
    "users": 20,
    "models": 10,
    "api-keys": 10,
    "teams": 10,
    "departments": 5,
}
USER_ROUTES = {"summary": 30, "trends": 25, "models": 15, "conversations": 15, "compare-org": 15}
PLATFORM_ROUTES = {"summary": 25, "trends": 25, "organizations": 30, "models": 20}


@dataclass(frozen=True)
class Weighted:
    """Values to draw from, and how often each is drawn."""

    values: list[Any]
    weights: list[int]

    @staticmethod
    def of(items: list[dict[str, Any]], name: str) -> "Weighted":
        """Of a list's items: the dimension `name`, weighted by events."""
        items = [item for item in items if item[name] is not None]
        return Weighted([item[name] for item in items], [item["total_events"] for item in items])

    def draw(self, random_source: random.Random) -> Any:
        """One value."""
        return random_source.choices(self.values, self.weights)[0]


@dataclass(frozen=True)
class Population:
    """Whom dashboards are about."""

    first: date
    last: date
    organizations: Weighted
    users: dict[str, Weighted]
    """Of each organization."""
    filters: dict[str, dict[str, Weighted]]
    """Of each organization, and of the platform as "": what else to filter by."""

    @staticmethod
    def read(client: Client, first: date, last: date) -> "Population":
        """Asks the server for it; `first` and `last` are the stored dates."""
        whole = urlencode({"date_from": first, "date_to": last, "limit": USERS_PER_ORGANIZATION})

        def items(route: str) -> list[dict[str, Any]]:
            return client.get(f"/api/{route}?{whole}").json()["items"]

        organizations = Weighted.of(items("platform/analytics/organizations"), "organization_id")
        users, filters = {}, {"": {"model": Weighted.of(items("platform/analytics/models"), "model_name")}}
        for one in organizations.values:
            of = f"organizations/{one}/analytics"
            users[one] = Weighted.of(items(f"{of}/users"), "user_id")
            filters[one] = {
                "model": Weighted.of(items(f"{of}/models"), "model_name"),
                "team_id": Weighted.of(items(f"{of}/teams"), "team_id"),
                "department": Weighted.of(items(f"{of}/departments"), "department"),
            }
        for dimensions in filters.values():
            dimensions["status"] = Weighted(["completed", "failed"], [9, 1])
        return Population(first, last, organizations, users, filters)


class Dashboards:
    """Draws the requests of people who look at dashboards."""

    def __init__(self, population: Population, seed: int) -> None:
        self._people = population
        self._random = random.Random(seed)

    def organization(self) -> str:
        """A route about an organization."""
        one = self._people.organizations.draw(self._random)
        return f"/api/organizations/{one}/analytics/{self._route(ORGANIZATION_ROUTES)}?{self._query(one)}"

    def user(self) -> str:
        """A route about a user."""
        one = self._people.organizations.draw(self._random)
        user = self._people.users[one].draw(self._random)
        return f"/api/users/{user}/analytics/{self._route(USER_ROUTES)}?{self._query(one)}"

    def platform(self) -> str:
        """A route about everything."""
        return f"/api/platform/analytics/{self._route(PLATFORM_ROUTES)}?{self._query('')}"

    def requests(self, groups: list[str], count: int) -> Iterator[Request]:
        """`count` requests, of the groups in turn."""
        for number in range(count):
            group = groups[number % len(groups)]
            yield get_request(group, getattr(self, group)())

    def _route(self, routes: dict[str, int]) -> str:
        return self._random.choices(list(routes), list(routes.values()))[0]

    def _query(self, organization: str) -> str:
        to = self._people.last - timedelta(days=self._random.randint(0, SHIFT_DAYS_MAX))
        days = self._random.choice(RANGE_DAYS)
        query = {"date_from": to - timedelta(days=days - 1), "date_to": to}
        # Every second request narrows down what it looks at.
        if self._random.random() < 0.5:
            filters = self._people.filters[organization]
            name = self._random.choice(sorted(filters))
            query[name] = filters[name].draw(self._random)
        return urlencode(query)


def measure_dashboards(
    address: str, first: date, last: date, requests: int, groups: list[list[str]]
) -> dict[str, Any]:
    """For each of `groups`, latencies of `requests` requests under eight
    clients: fresh ones, and such as were answered before."""
    client = Client(address)
    population = Population.read(client, first, last)
    client.close()
    results: dict[str, Any] = {"clients": CLIENTS, "cold": {}, "hot": {}}
    for names in groups:
        dashboards = Dashboards(population, seed=7)
        _timed(address, dashboards.requests(names, requests // 10))
        fresh = list(dashboards.requests(names, requests))
        results["cold"] |= _timed(address, iter(fresh), repeated=len(fresh) - len(set(fresh)))
        known = fresh[-HOT_REQUESTS:]
        _timed(address, iter(known))
        results["hot"] |= _timed(address, (known[number % len(known)] for number in range(requests)))
    return results


def _timed(address: str, requests: Iterator[Request], repeated: int = 0) -> dict[str, Any]:
    deadline = time.perf_counter() + SECONDS_MAX
    in_time = itertools.takewhile(lambda _: time.perf_counter() < deadline, requests)
    run = closed_loop(address, in_time, CLIENTS, _check)
    shared = {"requests_per_second": len(run.all_latencies()) / run.seconds, "repeated": repeated}
    return {
        group: {
            "requests": len(latencies),
            **{f"p{at}_ms": 1e3 * percentile(latencies, at) for at in (50, 95, 99)},
            "max_ms": 1e3 * max(latencies),
            **shared,
        }
        for group, latencies in run.latencies.items()
    }


def _check(status: int, body: bytes) -> None:
    if status != 200:
        raise RuntimeError(f"a dashboard was answered {status}: {body[:500]!r}")
