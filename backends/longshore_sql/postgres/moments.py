"""The time of a statement that stands alone, which has asked nothing before."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CTE, ColumnElement, func, literal_column, select

from longshore_sql.postgres.dialect import CLOCK
from longshore_sql.schema import VERSION, Schema, constant
from longshore_sql.statements import given

NOW: Final = "now"


def moment_of(schema: Schema) -> CTE:
    """The time of the call; nothing where the tables are not of a version that this code works on."""
    meta = schema.meta.c
    readable = select(meta.value).where(meta.name == literal_column("'readable_from'")).scalar_subquery()
    version = select(meta.value).where(meta.name == literal_column("'version'")).scalar_subquery()
    now = func.coalesce(given(NOW), CLOCK)
    moment = select(now.label(NOW)).where(readable <= constant(VERSION), version >= constant(VERSION))
    return moment.cte("moment").prefix_with("MATERIALIZED")  # Else it is reckoned anew for every row.


def now_of(moment: CTE) -> ColumnElement[int]:
    """The time as a value that is reckoned once; NULL where the tables are of another version."""
    return select(moment.c[NOW]).scalar_subquery()
