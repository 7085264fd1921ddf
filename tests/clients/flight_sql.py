"""ADBC's Flight SQL driver against a running server, as an analyst uses it.

    flight_sql.py HOST PORT USER TOKEN [ROOT_CERTIFICATES]

With a PEM file of certificates to trust, TLS is spoken. TOKEN may run SQL over
some events, whichever they are: everything is compared with what the server
says another way. Exits with 0 when all is well.

Needs PyPI's adbc-driver-flightsql, adbc-driver-manager and pyarrow.
"""

import contextlib
import decimal
import sys
import threading
import time

import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import pyarrow
import pyarrow.compute
from adbc_driver_flightsql import DatabaseOptions

# Rows that no server makes within a test's patience.
LONG = (
    "SELECT count(*) FROM generate_series(1, 1000000) AS a(n), generate_series(1, 1000000) AS b(n) "
    "WHERE (a.n * b.n) % 7 = 3"
)


def connect(uri, options, certificates):
    options = {key.value if hasattr(key, "value") else key: value for key, value in options.items()}
    if certificates:
        with open(certificates) as file:
            options[DatabaseOptions.TLS_ROOT_CERTS.value] = file.read()
    return adbc_driver_flightsql.dbapi.connect(uri, db_kwargs=options, autocommit=True)


def table(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetch_arrow_table()


@contextlib.contextmanager
def refused(kind, *words):
    """Expects an error of this class whose message has these words."""
    try:
        yield
    except kind as error:
        text = str(error)
        missing = [word for word in words if word not in text]
        assert not missing, f"{missing} not in: {text}"
        return
    raise AssertionError(f"nothing was refused; expected {kind.__name__} with {words}")


def check_rows(connection):
    one = table(connection, "SELECT 1 AS one, 'text' AS t, DATE '2026-11-20' AS d, NULL AS nothing")
    assert one.column("one").to_pylist() == [1], one
    assert one.column("d").type == pyarrow.date32(), one.schema
    assert one.column("nothing").to_pylist() == [None], one
    empty = table(connection, "SELECT event_id, charged_cost FROM usage_events WHERE 1 = 0")
    assert (empty.num_rows, empty.num_columns) == (0, 2), empty
    # More than one message of gRPC, in order.
    many = table(connection, "SELECT value AS n, repeat('x', 100) AS t FROM generate_series(1, 200000)")
    assert many.num_rows == 200_000
    numbers = many.column("n")
    assert numbers[0].as_py() == 1 and numbers[-1].as_py() == 200_000
    assert pyarrow.compute.sum(numbers).as_py() == 200_000 * 200_001 // 2


def check_money(connection):
    rows = table(connection, "SELECT charged_cost, CAST(charged_cost AS VARCHAR) AS t FROM usage_events")
    assert rows.num_rows > 0, "the server has no events"
    assert rows.column("charged_cost").type == pyarrow.decimal128(18, 12), rows.schema
    for money, text in zip(rows.column("charged_cost").to_pylist(), rows.column("t").to_pylist()):
        assert (money is None) == (text is None)
        assert money is None or money == decimal.Decimal(text), (money, text)
    known = [money for money in rows.column("charged_cost").to_pylist() if money is not None]
    total = table(connection, "SELECT sum(charged_cost) AS total FROM usage_events")
    assert total.column("total").to_pylist() == [sum(known)], (total, sum(known))


def check_parameters(connection):
    sql = "SELECT count(*) AS n FROM usage_events WHERE user_id = $1 AND input_tokens >= $2"
    users = table(connection, "SELECT user_id, count(*) AS n FROM usage_events WHERE user_id IS NOT NULL GROUP BY 1")
    assert users.num_rows > 0
    for user, count in zip(users.column("user_id").to_pylist(), users.column("n").to_pylist()):
        assert table(connection, sql, (user, 0)).column("n").to_pylist() == [count], user
    assert table(connection, sql, ("' OR 1 = 1 --", 0)).column("n").to_pylist() == [0]
    money = decimal.Decimal("0.000000000001")
    sent = table(connection, "SELECT $1 + charged_cost - charged_cost AS m FROM usage_events WHERE charged_cost IS NOT NULL LIMIT 1", (money,))
    assert sent.column("m").to_pylist() == [money], sent
    with connection.cursor() as cursor:
        schema = cursor.adbc_prepare(sql)
        assert [field.name for field in schema] == ["$1", "$2"], schema
        # The same statement, bound anew each time.
        for least, expected in [(0, True), (10**15, False)]:
            cursor.execute(sql, (users.column("user_id")[0].as_py(), least))
            assert (cursor.fetchone()[0] > 0) == expected
    with refused(connection.ProgrammingError, "takes 2 parameters"):
        table(connection, sql)
    with refused(connection.ProgrammingError, "takes 2"):
        table(connection, sql, ("ada",))


def check_objects(connection):
    found = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    assert [catalog["catalog_name"] for catalog in found] == ["spendlake"], found
    (schema,) = found[0]["catalog_db_schemas"]
    assert schema["db_schema_name"] == "public", schema
    tables = {one["table_name"]: one for one in schema["db_schema_tables"]}
    assert {"usage_events", "usage_daily", "organizations", "model_prices"} <= set(tables), sorted(tables)
    assert tables["usage_events"]["table_type"] == "TABLE"
    assert tables["user_daily_stats"]["table_type"] == "VIEW"
    columns = [one["column_name"] for one in tables["usage_events"]["table_columns"]]
    assert "charged_cost" in columns and "tags" in columns, columns
    some = connection.adbc_get_objects(depth="tables", table_name_filter="usage_d%").read_all().to_pylist()
    names = [one["table_name"] for one in some[0]["catalog_db_schemas"][0]["db_schema_tables"]]
    assert names and all(name.startswith("usage_d") for name in names), names
    assert set(connection.adbc_get_table_types()) == {"TABLE", "VIEW"}
    schema = connection.adbc_get_table_schema("usage_events")
    assert schema.field("charged_cost").type == pyarrow.decimal128(18, 12), schema
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "Spendlake", info
    with connection.cursor() as cursor:
        described = cursor.adbc_execute_schema("SELECT event_id, charged_cost FROM usage_events")
        assert described.names == ["event_id", "charged_cost"], described


def check_refusals(connection):
    with refused(connection.ProgrammingError, "nonexistent"):
        table(connection, "SELECT nonexistent FROM usage_events")
    with refused(connection.ProgrammingError, "DELETE"):
        table(connection, "DELETE FROM usage_events")
    with refused(connection.Error, "read-only"):
        with connection.cursor() as cursor:
            cursor.adbc_ingest("mine", pyarrow.table({"a": [1]}))
    with refused(connection.Error, "read-only"):
        with connection.cursor() as cursor:
            cursor.adbc_statement.set_sql_query("DELETE FROM usage_events")
            cursor.adbc_statement.execute_update()
    with refused(connection.Error, "Substrait"):
        with connection.cursor() as cursor:
            cursor.adbc_statement.set_substrait_plan(b"plan")
            cursor.adbc_statement.execute_query()


def check_cancel(connection):
    with connection.cursor() as cursor:
        cancel = threading.Timer(0.5, cursor.adbc_cancel)
        cancel.start()
        started = time.monotonic()
        with refused(connection.Error, "ancel"):
            cursor.execute(LONG)
            cursor.fetchone()
        assert time.monotonic() - started < 30
        cancel.join()
    assert table(connection, "SELECT 1 AS one").column("one").to_pylist() == [1], "the next statement runs"


def main(host, port, user, token, certificates=None):
    uri = f"grpc+tls://{host}:{port}" if certificates else f"grpc://{host}:{port}"
    header = {DatabaseOptions.AUTHORIZATION_HEADER: f"Bearer {token}"}
    password = {"username": user, "password": token}
    for options in (header, password):
        with connect(uri, options, certificates) as connection:
            check_rows(connection)
            check_money(connection)
            check_parameters(connection)
            check_objects(connection)
            check_refusals(connection)
            check_cancel(connection)
    wrong = token[:-4] + ("aaaa" if token[-4:] != "aaaa" else "bbbb")
    for options in ({}, {DatabaseOptions.AUTHORIZATION_HEADER: f"Bearer {wrong}"}, {"username": user, "password": wrong}):
        with refused(adbc_driver_manager.Error, "nauthenticated"):
            with connect(uri, options, certificates) as connection:
                table(connection, "SELECT 1")
    print("ADBC (Flight SQL): ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
