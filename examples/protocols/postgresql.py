"""Queries to PostgreSQL, without the service before it: which of them is slow, and which became slower?"""

import os

import psycopg

from ciload import check, measure

DATABASE = os.environ.get("DATABASE_URL", "postgresql://localhost/postgres")

options = {
    "name": "postgresql",
    "vus": 5,
    "duration": "30s",
    "thresholds": {"op_duration{name:find order}": "p(95)<20", "op_failed": "rate<0.01", "checks": "rate>0.99"},
}


async def setup():
    async with await psycopg.AsyncConnection.connect(DATABASE, autocommit=True) as database:
        await database.execute("CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, customer int, total numeric)")
        await database.execute("INSERT INTO orders (customer, total) SELECT n % 100, n FROM generate_series(1, 9999) n")


async def vu_start(vu):
    vu.database = await psycopg.AsyncConnection.connect(DATABASE, autocommit=True)


async def default(vu):
    customer = vu.random.randrange(100)
    async with measure("find order", protocol="postgresql"):
        found = await vu.database.execute("SELECT id, total FROM orders WHERE customer = %s LIMIT 10", [customer])
        rows = await found.fetchall()
    check(rows, {"has orders": lambda rows: len(rows) == 10})
    async with measure("sum of orders", protocol="postgresql"):
        await vu.database.execute("SELECT sum(total) FROM orders")


async def vu_stop(vu):
    await vu.database.close()
