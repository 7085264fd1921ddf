"""Named questions of dashboards: the route, and the SQL that asks the same of
the raw events. The peers get the cheapest text that is right for the sample,
in which nothing was reversed and ids are unique, and are asked for no names,
shares or totals of lists, which the routes answer as well."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

DAYS = 30
TOP = 50

TOKENS = [
    f"{name}_tokens"
    for name in ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
]
# Measure: its sum over raw events.
MEASURES = {
    "total_events": "sum(quantity)",
    "total_conversations": "count(DISTINCT conversation_id)",
    **{name: f"sum({name})" for name in TOKENS},
    "total_cost": "sum(charged_cost)",
    "actual_api_cost": "sum(actual_api_cost)",
    "profit_amount": "sum(charged_cost - actual_api_cost)",
    "unpriced_events": "coalesce(sum(quantity) FILTER (WHERE actual_api_cost IS NULL), 0)",
    "failed_events": "coalesce(sum(quantity) FILTER (WHERE status = 'failed'), 0)",
    "duration_ms": "sum(duration_ms)",
}
USERS = {"total_users": "count(DISTINCT user_id)"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Period:
    """Dates, both inclusive."""

    first: date
    last: date

    def before(self) -> "Period":
        """The equally long period before."""
        days = self.last - self.first + timedelta(days=1)
        return Period(self.first - days, self.last - days)

    def path(self) -> str:
        """As parameters of a route."""
        return f"date_from={self.first}&date_to={self.last}"

    def where(self) -> str:
        """As a condition."""
        return f"usage_date BETWEEN DATE '{self.first}' AND DATE '{self.last}'"


@dataclass(frozen=True)
class Question:
    """One question, asked of any period."""

    name: str
    path: Callable[[Period], str]
    query: Callable[[Period], str]
    read: Callable[[Any], list[Row]]
    """The route's answer as rows that hold the peers' columns by name."""
    shape: Callable[[list[Row]], list[Row]] = list
    """What the peers' rows say, where it is more than they hold."""


@dataclass(frozen=True)
class Subjects:
    """Whom the questions are about: the largest organization, its busiest user."""

    organization: str
    user: str


def questions(subjects: Subjects) -> list[Question]:
    """Every question, by name."""
    organization = f"/api/organizations/{subjects.organization}/analytics"
    user = f"/api/users/{subjects.user}/analytics"
    platform = "/api/platform/analytics"
    in_organization = f"organization_id = '{subjects.organization}' AND "
    of_user = f"user_id = '{subjects.user}' AND "
    return [
        _summary("organization summary", organization, in_organization, USERS),
        _trend("organization trend", organization, in_organization, USERS),
        _list("organization users", organization, "users", "user_id", in_organization),
        _list("organization models", organization, "models", "model_name", in_organization, USERS),
        _list("organization API keys", organization, "api-keys", "api_key_id", in_organization),
        _list("organization teams", organization, "teams", "team_id", in_organization, USERS),
        _summary("user summary", user, of_user),
        _list("user models", user, "models", "model_name", of_user),
        _compare("user beside organization", user, in_organization, subjects.user),
        _summary("platform summary", platform, "", USERS),
        _trend("platform trend", platform, "", USERS),
        _list("platform organizations", platform, "organizations", "organization_id", "", USERS),
        _list("platform models", platform, "models", "model_name", "", USERS),
    ]


def _select(measures: dict[str, str]) -> str:
    return ", ".join(f"{expression} AS {name}" for name, expression in measures.items())


def _summary(name: str, route: str, where: str, more: dict[str, str] | None = None) -> Question:
    def query(period: Period) -> str:
        both = Period(period.before().first, period.last)
        return (
            f"SELECT usage_date >= DATE '{period.first}' AS is_current, {_select(MEASURES | (more or {}))} "
            f"FROM usage_events WHERE {where}{both.where()} GROUP BY 1 ORDER BY 1"
        )

    def read(answer: Any) -> list[Row]:
        return [answer["previous"] | {"is_current": False}, answer | {"is_current": True}]

    return Question(name, lambda period: f"{route}/summary?{period.path()}", query, read)


def _trend(name: str, route: str, where: str, more: dict[str, str] | None = None) -> Question:
    def query(period: Period) -> str:
        return (
            f"SELECT usage_date AS date, {_select(MEASURES | (more or {}))} "
            f"FROM usage_events WHERE {where}{period.where()} GROUP BY 1 ORDER BY 1"
        )

    def read(answer: Any) -> list[Row]:
        # SQL knows no steps without rows.
        return [step for step in answer["items"] if step["total_events"] != 0]

    return Question(name, lambda period: f"{route}/trends?{period.path()}", query, read)


def _list(
    name: str, route: str, page: str, column: str, where: str, more: dict[str, str] | None = None
) -> Question:
    def query(period: Period) -> str:
        return (
            f"SELECT {column}, {_select(MEASURES | (more or {}))} "
            f"FROM usage_events WHERE {where}{period.where()} "
            f"GROUP BY 1 ORDER BY total_cost DESC NULLS LAST, 1 LIMIT {TOP}"
        )

    def path(period: Period) -> str:
        return f"{route}/{page}?{period.path()}&limit={TOP}"

    return Question(
        name,
        path,
        query,
        read=lambda answer: sorted(answer["items"], key=lambda item: str(item[column])),
        shape=lambda rows: sorted(rows, key=lambda row: str(row[column])),
    )


def _compare(name: str, route: str, where: str, user: str) -> Question:
    tokens = " + ".join(f"sum({name})" for name in TOKENS if name != "reasoning_tokens")

    def query(period: Period) -> str:
        return (
            "WITH users AS (SELECT user_id, sum(charged_cost) AS cost, sum(quantity) AS events, "
            f"{tokens} AS tokens, count(DISTINCT conversation_id) AS conversations "
            f"FROM usage_events WHERE {where}{period.where()} AND user_id IS NOT NULL GROUP BY 1), "
            f"compared AS (SELECT *, max(CASE WHEN user_id = '{user}' THEN cost END) OVER () AS own "
            "FROM users) "
            "SELECT count(*) AS active_users, sum(cost) AS cost, sum(events) AS events, "
            "sum(tokens) AS tokens, sum(conversations) AS conversations, max(own) AS total_cost, "
            "count(*) FILTER (WHERE cost > own) AS dearer, count(*) FILTER (WHERE cost <= own) AS no_dearer "
            "FROM compared"
        )

    def read(answer: Any) -> list[Row]:
        average = {f"average_{name}": value for name, value in answer["organization_average"].items()}
        named = {name: answer[name] for name in ("active_users", "rank", "percentile")}
        return [named | average | {"total_cost": answer["user"]["total_cost"]}]

    def shape(rows: list[Row]) -> list[Row]:
        [row] = rows
        users = row["active_users"]
        return [
            {
                "active_users": users,
                "rank": row["dearer"] + 1,
                "percentile": divided(row["no_dearer"], users, 6),
                "average_total_cost": divided(row["cost"], users, 12),
                "average_total_tokens": divided(row["tokens"], users, 6),
                "average_total_conversations": divided(row["conversations"], users, 6),
                "average_total_events": divided(row["events"], users, 6),
                "total_cost": row["total_cost"],
            }
        ]

    return Question(name, lambda period: f"{route}/compare-org?{period.path()}", query, read, shape)


def divided(sum_of_all: Decimal | int, count: int, digits: int) -> Decimal:
    """The exact quotient, rounded half-even at `digits` after the point."""
    with localcontext(prec=100):
        return (Decimal(sum_of_all) / count).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
