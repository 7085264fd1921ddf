"""asyncpg against a server that holds tests/clients/events.ndjson.

Usage: asyncpg_client.py HOST PORT USER TOKEN
"""

import asyncio
import sys
from datetime import date, datetime, timezone
from decimal import Decimal

import asyncpg

HOST, PORT, USER, TOKEN = sys.argv[1:5]


async def main():
    options = dict(host=HOST, port=int(PORT), user=USER, password=TOKEN, database="spendlake")
    connection = await asyncpg.connect(**options)
    rows = await connection.fetch("SELECT event_id, charged_cost, event_time, usage_date, input_tokens, quantity, tags FROM usage_events ORDER BY event_id")
    two = rows[1]
    assert two["charged_cost"] == Decimal("999999.000000000001"), two
    assert two["event_time"] == datetime(2026, 11, 21, 8, 0, 0, 123456, timezone.utc), two
    assert two["usage_date"] == date(2026, 11, 21), two
    assert (two["input_tokens"], two["quantity"]) == (1000, 1), two
    assert rows[2]["charged_cost"] is None, rows[2]

    query = "SELECT event_id FROM usage_events WHERE user_id = $1 AND event_time >= $2 AND charged_cost > $3 AND input_tokens >= $4"
    values = ("bob", datetime(2026, 11, 21, tzinfo=timezone.utc), Decimal("0.5"), 5)
    statement = await connection.prepare(query)
    assert await statement.fetchval(*values) == "2"
    assert await connection.fetchval(query, *values) == "2"
    assert await connection.fetchval("SELECT count(*) FROM usage_events WHERE user_id = ANY($1::text[])", ["ada", "eve"]) == 2
    assert await connection.fetchval("SELECT $1::numeric", Decimal("12345678901234567890.123456789")) == Decimal("12345678901234567890.123456789")
    assert await connection.fetchval("SELECT ARRAY[1, NULL, 3]::int8[]") == [1, None, 3]

    async with connection.transaction(isolation="repeatable_read", readonly=True):
        seen = [row["value"] async for row in connection.cursor("SELECT value FROM generate_series(1, 500) AS t(value) ORDER BY 1", prefetch=50)]
    assert seen == list(range(1, 501)), len(seen)

    for kind, statement in [
        (asyncpg.ReadOnlySQLTransactionError, "DELETE FROM usage_events"),
        (asyncpg.UndefinedTableError, "SELECT * FROM nothing"),
        (asyncpg.UndefinedColumnError, "SELECT nothing FROM usage_events"),
        (asyncpg.PostgresSyntaxError, "SELEC 1"),
    ]:
        try:
            await connection.fetch(statement)
        except kind:
            continue
        raise AssertionError(f"{statement} was run")

    try:
        await connection.fetch("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b WHERE a.value % 7 = b.value % 11", timeout=0.5)
        raise AssertionError("it was not cancelled")
    except asyncio.TimeoutError:
        pass
    assert await connection.fetchval("SELECT 1::int8") == 1
    await connection.close()

    # A pool resets each connection that comes back.
    async with asyncpg.create_pool(**options, min_size=1, max_size=3) as pool:
        counts = await asyncio.gather(*(pool.fetchval("SELECT count(*) FROM usage_events") for _ in range(10)))
    assert counts == [3] * 10, counts

    try:
        await asyncpg.connect(**{**options, "password": "wrong"})
        raise AssertionError("a wrong token was taken")
    except asyncpg.InvalidPasswordError:
        pass
    print("asyncpg: ok")


asyncio.run(main())
