"""Prints what a Delta table of usage events holds, read by an independent reader.

usage: python totals.py PATH_OF_THE_TABLE

The answer is one JSON object; amounts are exact decimals as text.
"""

import json
import os
import sys
from decimal import Decimal

from deltalake import DeltaTable

CLASSES = [
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
]


def known_sum(values):
    """The exact sum of what is known, or None when nothing is."""
    known = [value for value in values if value is not None]
    return format(sum(known, Decimal(0)), "f") if known else None


def main(path):
    table = DeltaTable(path)
    rows = table.to_pyarrow_table().to_pylist()
    conversations = {
        (row["organization_id"], row["conversation_id"])
        for row in rows
        if row["conversation_id"] is not None
    }
    totals = {
        "files": len(table.file_uris()),
        "total_events": len(rows),
        "total_tokens": sum(row[name] for row in rows for name in CLASSES),
        "total_cost": known_sum(row["charged_cost"] for row in rows),
        "actual_api_cost": known_sum(row["actual_api_cost"] for row in rows),
        "total_conversations": len(conversations),
    }
    totals.update({name: sum(row[name] for row in rows) for name in CLASSES})
    print(json.dumps(totals), flush=True)


main(sys.argv[1])
# The reader's own threads sometimes abort the interpreter while it shuts down
# ("terminate called without an active exception"); the answer is out by then.
os._exit(0)
