"""Schedules: jobs by the clock, without a leader (docs/design/schedules.md).

`Cron` and `Every` say when; `Scheduling` is how an application declares; `stored` is what is stored,
and `ticking` makes jobs of it.
"""

from longshore.schedules.cron import Cron
from longshore.schedules.declared import Scheduling, write_declared
from longshore.schedules.every import Every
from longshore.schedules.stored import Schedule, count_schedules

__all__ = ["Cron", "Every", "Schedule", "Scheduling", "count_schedules", "write_declared"]
