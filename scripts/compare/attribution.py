"""A directory from which the server attributes events that name only their API
key and user: to the key's organization, and to the user's team and department."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
from server import command, environment

# What such an event does not say.
ATTRIBUTED = {"organization_id", "team_id", "department"}

# Each: what is of one record, from the rows of events.
RECORDS = {
    "organization": "SELECT DISTINCT organization_id AS id, organization_id AS name",
    "department": "SELECT DISTINCT organization_id, department AS id, department AS name",
    "team": """SELECT organization_id, team_id AS id, team_id AS name, min(department) AS department""",
    "user": "SELECT DISTINCT organization_id, user_id AS id, user_id AS name",
    "api_key": "SELECT DISTINCT organization_id, api_key_id AS id, api_key_id AS name",
    # From before the first event.
    "membership": "SELECT organization_id, user_id, min(team_id) AS team_id, '2020-01-01' AS valid_from",
}
GROUPS = {"team": "GROUP BY 1, 2", "membership": "GROUP BY 1, 2"}


def directory_of(files: list[Path]) -> list[dict[str, Any]]:
    """The records of everything that the events of `files` name."""
    connection = duckdb.connect()
    rows = f"FROM read_parquet({[str(path) for path in files]})"
    records = []
    for kind, select in RECORDS.items():
        found = connection.execute(f"{select} {rows} {GROUPS.get(kind, '')}")
        names = [column[0] for column in found.description]
        records += [{"kind": kind, **dict(zip(names, row, strict=True))} for row in found.fetchall()]
    return records


def import_directory(binary: Path, folder: Path, records: list[dict[str, Any]]) -> None:
    """Puts `records` into the data directory `folder`."""
    path = folder / "records.json"
    path.write_text(json.dumps(records))
    line = command(binary, folder, "directory", "import", str(path))
    subprocess.run(line, check=True, stdout=sys.stderr, env=environment())
    path.unlink()
