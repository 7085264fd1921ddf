"""The other engines, each over the same Parquet files."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import chdb
import duckdb
from chdb.session import Session


@dataclass(frozen=True)
class Rows:
    """An answer: column names, rows in order, and how long it took."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    seconds: float
    """From the text to the last value in Python."""

    def dicts(self) -> list[dict[str, Any]]:
        """Each row by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Peer(Protocol):
    """An engine with a view `usage_events`."""

    name: str
    version: str

    def ask(self, query: str) -> Rows:
        """Runs a query; sums of amounts come as Decimal."""


class DuckDb:
    """DuckDB in this process, on all cores, with file metadata kept."""

    name = "DuckDB"

    def __init__(self, folder: Path) -> None:
        self.version = duckdb.__version__
        self._connection = duckdb.connect()
        for statement in (
            "SET TimeZone = 'UTC'",
            "SET parquet_metadata_cache = true",
            f"CREATE VIEW usage_events AS SELECT * FROM read_parquet('{folder}/*/*.parquet', "
            "hive_partitioning = true, hive_types = {'usage_date': DATE})",
        ):
            self._connection.execute(statement)

    def ask(self, query: str) -> Rows:
        """See `Peer`."""
        started = time.perf_counter()
        answer = self._connection.execute(query)
        rows = answer.fetchall()
        seconds = time.perf_counter() - started
        return Rows([column[0] for column in answer.description], rows, seconds)


class ChDb:
    """ClickHouse in this process, on all cores."""

    name = "chDB"

    def __init__(self, folder: Path) -> None:
        self.version = chdb.__version__
        self._session = Session()
        # As in the standard: an alias does not hide a column of its name, and
        # a row without a match has nulls.
        self._session.query("SET prefer_column_name_to_alias = 1")
        self._session.query("SET join_use_nulls = 1")
        self._session.query(
            f"CREATE VIEW usage_events AS SELECT * FROM file('{folder}/*/*.parquet', Parquet)"
        )

    def ask(self, query: str) -> Rows:
        """See `Peer`."""
        started = time.perf_counter()
        table = self._session.query(query, "ArrowTable")
        seconds = time.perf_counter() - started
        columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
        return Rows(table.column_names, list(zip(*columns, strict=True)), seconds)


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
