"""psycopg 3 against a server that holds tests/clients/events.ndjson.

Usage: psycopg3.py HOST PORT USER TOKEN
"""

import sys
from datetime import date, datetime, timezone
from decimal import Decimal

import psycopg
from psycopg import errors
from psycopg.rows import dict_row

HOST, PORT, USER, TOKEN = sys.argv[1:5]
EVENTS = "SELECT event_id, charged_cost, event_time, usage_date, input_tokens, quantity, tags, duration_ms FROM usage_events ORDER BY event_id"


def connect(**options):
    return psycopg.connect(host=HOST, port=PORT, user=USER, password=TOKEN, dbname="spendlake", **options)


def check_rows(rows):
    assert [row["event_id"] for row in rows] == ["1", "2", "3"], rows
    two = rows[1]
    assert two["charged_cost"] == Decimal("999999.000000000001"), two
    assert two["event_time"] == datetime(2026, 11, 21, 8, 0, 0, 123456, timezone.utc), two
    assert two["usage_date"] == date(2026, 11, 21), two
    assert (two["input_tokens"], two["quantity"], two["duration_ms"]) == (1000, 1, 12), two
    assert rows[0]["tags"] == '{"project":"a \\"b\\""}', rows[0]
    # An unknown cost is None, never 0.
    assert rows[2]["charged_cost"] is None, rows[2]


def refused(kind, statement, parameters=None):
    with connect(autocommit=True) as connection:
        try:
            connection.execute(statement, parameters)
        except kind:
            return
    raise AssertionError(f"{statement} was run")


for binary in (False, True):
    with connect() as connection, connection.cursor(binary=binary, row_factory=dict_row) as cursor:
        check_rows(cursor.execute(EVENTS).fetchall())
        total = cursor.execute("SELECT sum(charged_cost) AS total FROM usage_events").fetchone()
        assert total["total"] == Decimal("999999.750000000001"), total

with connect() as connection:
    # Parameters of each kind, and the same statement often enough to be prepared.
    query = "SELECT event_id FROM usage_events WHERE user_id = %s AND event_time >= %s AND usage_date >= %s AND input_tokens >= %s AND charged_cost > %s"
    values = ("bob", datetime(2026, 11, 21, tzinfo=timezone.utc), date(2026, 11, 1), 5, Decimal("0.5"))
    for _ in range(8):
        assert connection.execute(query, values).fetchall() == [("2",)]
    assert connection.execute(query, values, prepare=True).fetchall() == [("2",)]
    many = connection.execute("SELECT count(*) FROM usage_events WHERE user_id = ANY(%s)", (["ada", "eve"],)).fetchone()
    assert many == (2,), many
    row = connection.execute("SELECT %s::numeric, %s::text, %s::bool, %s::int8, %s::float8, %s::date, %s::text",
                             (Decimal("12345678901234567890.123456789"), "it's %", True, 7, 0.1, date(2026, 1, 2), None), binary=True).fetchone()
    assert row == (Decimal("12345678901234567890.123456789"), "it's %", True, 7, 0.1, date(2026, 1, 2), None), row
    assert connection.execute("SELECT ARRAY['a', NULL, 'b \"c']").fetchone() == (["a", None, 'b "c'],)

with connect() as connection:
    with connection.cursor(name="portions", row_factory=dict_row) as cursor:
        cursor.itersize = 2
        check_rows(list(cursor.execute(EVENTS)))
    with connection.cursor(name="binary", binary=True) as cursor:
        cursor.execute("SELECT value FROM generate_series(1, 1000) AS t(value) WHERE value >= %s ORDER BY 1", (1,))
        assert [row[0] for row in cursor.fetchmany(3)] == [1, 2, 3]
        assert len(cursor.fetchall()) == 997

with connect() as connection:
    with connection.transaction():
        try:
            with connection.transaction():
                connection.execute("SELECT nothing")
        except errors.UndefinedColumn:
            pass
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with connection.pipeline():
        answers = [connection.execute("SELECT %s::int8", (n,)) for n in range(5)]
    assert [answer.fetchone()[0] for answer in answers] == list(range(5))
    connection.execute("SET TIME ZONE 'Asia/Tokyo'")
    time = connection.execute("SELECT event_time FROM usage_events WHERE event_id = '2'").fetchone()[0]
    assert time == datetime(2026, 11, 21, 8, 0, 0, 123456, timezone.utc) and time.utcoffset().seconds == 9 * 3600, time

refused(errors.ReadOnlySqlTransaction, "INSERT INTO usage_events SELECT * FROM usage_events")
refused(errors.FeatureNotSupported, "COPY usage_events TO STDOUT")
refused(errors.UndefinedTable, "SELECT * FROM nothing")
refused(errors.UndefinedColumn, "SELECT nothing FROM usage_events")
refused(errors.SyntaxError, "SELEC 1")
refused(errors.UndefinedObject, "SET datafusion.execution.batch_size = 1")
refused(errors.QueryCanceled, "SET statement_timeout = 100; SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b WHERE a.value % 7 = b.value % 11")
try:
    psycopg.connect(host=HOST, port=PORT, user=USER, password="wrong", dbname="spendlake")
    raise AssertionError("a wrong token was taken")
except psycopg.OperationalError as error:
    assert "password authentication failed" in str(error), error

print("psycopg 3: ok")
