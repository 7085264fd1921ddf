"""The table of figures.

python report.py RESULTS.json [--into FILE.md] prints it from saved results, or
puts it between the marks in a Markdown file."""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Results = dict[str, Any]

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
MIB = 1 << 20


def _dashboard(size: str, answers: str, group: str) -> Callable[[Results], float]:
    return lambda r: r[f"dashboards_{size}"][answers][group]["p99_ms"]


def _growth(group: str) -> Callable[[Results], float]:
    return lambda r: _dashboard("large", "cold", group)(r) / _dashboard("small", "cold", group)(r)


def _ratio(part: str, peer: str) -> Callable[[Results], float]:
    return lambda r: r[part]["times_ours"][peer]["median"]


def _dataset(name: str) -> Callable[[Results], float]:
    return lambda r: r["dataset"]["large"][name]


# Name, unit, value, "at least" or "at most", figure to reach. Lines whose part
# did not run are left out.
Figure = tuple[str, str, Callable[[Results], float], str, float | None]
FIGURES: list[Figure] = [
    ("durable ingest over HTTP", "events/s", lambda r: r["ingest"]["events_per_second"], ">=", 100_000),
    (
        "… of events that name only key and user",
        "events/s",
        lambda r: r["ingest_attributed"]["events_per_second"],
        ">=",
        100_000,
    ),
    ("… acknowledged, p50", "ms", lambda r: r["ingest"]["ack_ms"]["p50"], "", None),
    ("… acknowledged, p99", "ms", lambda r: r["ingest"]["ack_ms"]["p99"], "", None),
    ("… flushes meanwhile", "", lambda r: r["ingest"]["commits_meanwhile"]["usage_events"], "", None),
    ("… the sender against a null server", "events/s", lambda r: r["ingest"]["sender_alone"], "", None),
    ("organization routes, 8 clients, p99", "ms", _dashboard("large", "cold", "organization"), "<=", 50),
    ("… over the same at a tenth of the events", "×", _growth("organization"), "<=", 1.5),
    ("user routes, 8 clients, p99", "ms", _dashboard("large", "cold", "user"), "<=", 50),
    ("… over the same at a tenth of the events", "×", _growth("user"), "<=", 1.5),
    ("platform routes, 8 clients, p99", "ms", _dashboard("large", "cold", "platform"), "<=", 150),
    ("organization routes answered before, p99", "ms", _dashboard("large", "hot", "organization"), "", None),
    ("platform routes answered before, p99", "ms", _dashboard("large", "hot", "platform"), "", None),
    ("dashboards, nobody runs SQL, p99", "ms", lambda r: r["beside"]["idle"]["p99_ms"], "", None),
    ("… while 10 analysts run heavy SQL, p99", "ms", lambda r: r["beside"]["busy"]["p99_ms"], "", None),
    ("… p50, over the p50 of nobody", "×", lambda r: r["beside"]["p50_ratio"], "", None),
    ("… p99, over the p99 of nobody", "×", lambda r: r["beside"]["p99_ratio"], "<=", 2),
    ("… statements answered meanwhile", "", lambda r: r["beside"]["statements_meanwhile"], "", None),
    ("named questions: DuckDB's time / ours", "×", _ratio("questions", "DuckDB"), ">=", 10),
    ("named questions: chDB's time / ours", "×", _ratio("questions", "chDB"), "", None),
    ("SQL on raw events: our time / DuckDB's", "×", lambda r: 1 / _ratio("analyst", "DuckDB")(r), "<=", 1.2),
    (
        "SQL on one organization: its analyst's time / a super admin's",
        "×",
        lambda r: r["reach"]["own_over_everything"],
        "",
        None,
    ),
    ("disk after compaction", "bytes/event", _dataset("bytes_per_event"), "<=", 45),
    ("… with the daily aggregates", "bytes/event", _dataset("bytes_per_event_with_daily"), "", None),
    (
        "resident memory after the dashboards",
        "MiB",
        lambda r: r["memory"]["resident_bytes"] / MIB,
        "<=",
        1536,
    ),
    ("ready with 1,000,000 events in the log", "s", lambda r: r["restart"]["ready_seconds"], "<=", 5),
]


def table(results: Results) -> str:
    """Everything measured, as Markdown."""
    parts = [_machine(results), _figures(results)]
    for part, title in (
        ("questions", "Named questions over 30 days, one client, median of 5, ms"),
        ("analyst", "SQL on raw events, one client, median of 5, ms"),
    ):
        if part in results:
            parts.append(_questions(results[part], title))
    return "\n\n".join(parts)


def faults(results: Results) -> list[str]:
    """Every part that failed, and every answer that was not the same everywhere."""
    found = list(results["failures"])
    found += results.get("reach", {"failures": []})["failures"]
    for part in ("questions", "analyst"):
        asked = results.get(part, {"failures": [], "questions": {}})
        found += asked["failures"]
        found += [f"{name}: {one}" for name, its in asked["questions"].items() for one in its["differences"]]
    return found


def _machine(results: Results) -> str:
    machine, data = results["machine"], results["dataset"]["large"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return (
        f"{results['date']}: {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / (1 << 30):.0f} GiB, "
        f"load {machine['load_before']} before the run; {versions}.  \n"
        f"{data['events']:,} events from {data['first']} to {data['last']} in {data['files']} files."
    )


def _figures(results: Results) -> str:
    rows = []
    for name, unit, read, bound, wanted in FIGURES:
        try:
            value = read(results)
        except KeyError:
            continue
        met = (
            ""
            if wanted is None
            else ("yes" if (value >= wanted if bound == ">=" else value <= wanted) else "**no**")
        )
        figure = "" if wanted is None else f"{'≥' if bound == '>=' else '≤'} {_number(wanted)} {unit}"
        rows.append([name, f"{_number(value)} {unit}".strip(), figure, met])
    return _markdown(["what", "measured", "to reach", "met"], rows)


def _questions(part: dict[str, Any], title: str) -> str:
    peers = list(part["times_ours"])
    rows = []
    for name, one in part["questions"].items():
        times = one["median_ms"]
        ratios = [_number(times[peer] / times["Spendlake"]) for peer in peers]
        equal = "**no**" if one["differences"] else "yes"
        rows.append([name, *(_number(times[engine]) for engine in ("Spendlake", *peers)), *ratios, equal])
    means = [_number(part["times_ours"][peer]["median"]) for peer in peers]
    best = [_number(part["times_ours"][peer]["best"]) for peer in peers]
    blank = [""] * (1 + len(peers))
    rows.append(["geometric mean of the ratios", *blank, *means, ""])
    rows.append(["… of the best of 5", *blank, *best, ""])
    head = ["question", "Spendlake", *peers, *(f"{peer} / ours" for peer in peers), "equal"]
    return f"{title}:\n\n{_markdown(head, rows)}"


def _number(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    right = [at > 0 for at in range(len(head))]

    def line(cells: list[str]) -> str:
        padded = (
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(cells, widths, right, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    rule = ["-" * (width - is_right) + ":" * is_right for width, is_right in zip(widths, right, strict=True)]
    return "\n".join([line(head), line(rule), *(line(row) for row in rows)])


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--into", type=Path, metavar="FILE.md")
    arguments = parser.parse_args()
    text = table(json.loads(arguments.results.read_text()))
    if arguments.into is None:
        print(text)
        return
    page = arguments.into.read_text()
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"{arguments.into} has no lines {BEGIN} and {END}")
    arguments.into.write_text(pattern.sub(lambda _: f"{BEGIN}\n\n{text}\n\n{END}", page))


if __name__ == "__main__":
    main()
