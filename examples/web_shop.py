"""A web shop: an order and the job that sends its receipt are committed together, or neither is.

    pip install 'longshore[postgres]' fastapi uvicorn greenlet aiosqlite asyncpg
    SHOP_URL=sqlite:///shop.db uvicorn --app-dir examples web_shop:web

    curl -X POST localhost:8000/orders -H 'Content-Type: application/json' -d '{"customer": "Ann", "amount": 99}'
    curl localhost:8000/orders/1/receipt

`SHOP_URL` is an SQLite file or a PostgreSQL database: it holds the shop's tables and its jobs. Workers run within
the web application; ``longshore worker web_shop:app`` would be a process of its own.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import ForeignKey, func, make_url, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool

from longshore import Context, Longshore
from longshore.errors import JobFailed, NotReady

LIBRARIES = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

url = make_url(os.environ.get("SHOP_URL", "sqlite:///shop.db"))
app = Longshore(url.render_as_string(hide_password=False))
engine = create_async_engine(url.set(drivername=LIBRARIES[url.drivername], query={}), poolclass=NullPool)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Table(DeclarativeBase):
    """The shop's tables."""


class Order(Table):
    """What somebody has bought."""

    __tablename__ = "shop_order"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    amount: Mapped[int]
    receipt_job: Mapped[str | None]


class Receipt(Table):
    """What was sent: one for each order, which nothing but the shop's care provides for."""

    __tablename__ = "shop_receipt"

    id: Mapped[int] = mapped_column(primary_key=True)
    order: Mapped[int] = mapped_column(ForeignKey(Order.id))
    text: Mapped[str]


class NewOrder(BaseModel):
    """What a customer sends."""

    customer: str
    amount: int


@app.task
async def send_receipt(context: Context, order: int) -> str:
    """Writes the receipt and completes in one transaction: so it is there once, however often this has to run."""
    async with sessions.begin() as session:
        bought = await session.get_one(Order, order)
        text = f"{bought.customer}, thank you for {bought.amount}"
        session.add(Receipt(order=order, text=text))
        await session.flush()
        await context.acomplete(text, tx=session)
    return text


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Makes the tables, and works while the web application runs."""
    app.store.migrate()
    async with engine.begin() as connection:
        await connection.run_sync(Table.metadata.create_all)
    with app.worker(slots=2):
        yield
    app.close()
    await engine.dispose()


async def transaction() -> AsyncIterator[AsyncSession]:
    """One for each request: committed when that is answered, rolled back when it fails."""
    async with sessions.begin() as session:
        yield session


web = FastAPI(lifespan=lifespan)
Transaction = Annotated[AsyncSession, Depends(transaction, scope="function")]


@web.post("/orders", status_code=201)
async def buy(new: NewOrder, session: Transaction) -> dict[str, int]:
    """Stores an order, and the job that will send its receipt."""
    order = Order(customer=new.customer, amount=new.amount)
    session.add(order)
    await session.flush()  # Which gives the order its number.
    job = await app.aenqueue(send_receipt.call(order.id), tx=session)
    order.receipt_job = job.id
    if new.amount <= 0:
        # Whatever fails after the enqueuing takes the order and its job back.
        raise HTTPException(422, "an order must be of something")
    return {"order": order.id}


@web.get("/orders")
async def orders(session: Transaction) -> dict[str, int]:
    """How many orders there are, and how many jobs."""
    found = await session.scalar(select(func.count()).select_from(Order))
    receipts = await session.scalar(select(func.count()).select_from(Receipt))
    return {"orders": found or 0, "receipts": receipts or 0, "jobs": sum(app.counts().values())}


@web.get("/orders/{number}/receipt")
async def receipt(number: int, wait: float = 10.0) -> dict[str, str]:
    """Waits for the receipt of an order, and gives it."""
    async with sessions() as session:  # Nothing of the database is held while it waits.
        order = await session.get(Order, number)
    if order is None or order.receipt_job is None:
        raise HTTPException(404, f"there is no order {number}")
    try:
        return {"receipt": await app.job(order.receipt_job).aresult(timeout=wait)}
    except NotReady as error:
        raise HTTPException(503, "it is not sent yet") from error
    except JobFailed as error:
        raise HTTPException(500, str(error)) from error
