"""SQLAlchemy's reflection, as Superset uses it, against a server that holds
tests/clients/events.ndjson.

Usage: sqlalchemy_reflection.py HOST PORT USER TOKEN
"""

import sys
from datetime import datetime, timezone
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy import URL, create_engine, inspect

HOST, PORT, USER, TOKEN = sys.argv[1:5]

for driver in ("postgresql+psycopg", "postgresql+pg8000"):
    url = URL.create(driver, username=USER, password=TOKEN, host=HOST, port=int(PORT), database="spendlake")
    engine = create_engine(url, pool_pre_ping=True)
    inspector = inspect(engine)
    assert "public" in inspector.get_schema_names(), inspector.get_schema_names()
    assert inspector.default_schema_name == "public"
    tables, views = inspector.get_table_names(), inspector.get_view_names()
    assert "usage_events" in tables and "usage_daily_files" not in tables, tables
    assert "organization_daily_stats" in views, views
    assert inspector.has_table("usage_events") and not inspector.has_table("nothing")

    columns = {column["name"]: column for column in inspector.get_columns("usage_events")}
    assert isinstance(columns["event_id"]["type"], sa.TEXT), columns["event_id"]
    assert isinstance(columns["charged_cost"]["type"], sa.NUMERIC), columns["charged_cost"]
    assert isinstance(columns["event_time"]["type"], sa.TIMESTAMP) and columns["event_time"]["type"].timezone
    assert isinstance(columns["usage_date"]["type"], sa.DATE)
    assert isinstance(columns["input_tokens"]["type"], sa.BIGINT)
    assert columns["charged_cost"]["nullable"] and not columns["event_id"]["nullable"], columns
    assert inspector.get_columns("usage_daily")
    assert inspector.get_pk_constraint("usage_events")["constrained_columns"] == []
    assert inspector.get_foreign_keys("usage_events") == []
    assert inspector.get_indexes("usage_events") == []
    assert inspector.get_unique_constraints("usage_events") == []
    assert inspector.get_check_constraints("usage_events") == []
    assert inspector.get_table_comment("usage_events")["text"] is None

    events = sa.Table("usage_events", sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        query = sa.select(events.c.event_id, events.c.charged_cost, events.c.event_time).where(events.c.user_id == "bob")
        row = connection.execute(query).one()
        assert row.charged_cost == Decimal("999999.000000000001"), row
        assert row.event_time == datetime(2026, 11, 21, 8, 0, 0, 123456, timezone.utc), row
        total = sa.select(sa.func.sum(events.c.charged_cost), sa.func.count(), sa.func.date_trunc("day", sa.func.min(events.c.event_time)))
        assert connection.execute(total).one()[:2] == (Decimal("999999.750000000001"), 3)
        unknown = sa.select(events.c.charged_cost).where(events.c.event_id == "3")
        assert connection.execute(unknown).scalar() is None
    engine.dispose()
    print(f"SQLAlchemy ({driver}): ok")
