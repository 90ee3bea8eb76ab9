"""What a waiting job costs the server's memory."""

from __future__ import annotations

import redis

from conftest import Serve
from longshore.contract import NewJob
from longshore.ids import IdMaker
from longshore_redis.driver import RedisDriver

JOBS = 50_000
MOST = 600


def test_a_waiting_job_takes_less_than_600_bytes(own_server: Serve) -> None:
    url = own_server("redis").url
    make_id = IdMaker()
    store = RedisDriver.connect(url)
    store.migrate()
    with redis.Redis.from_url(url) as client:
        before = client.info("memory")["used_memory_dataset"]
        for _ in range(JOBS // 1_000):
            store.insert([NewJob(make_id(), "mail", "send", b"p" * 100, digest=b"d" * 16) for _ in range(1_000)])
        each = (client.info("memory")["used_memory_dataset"] - before) / JOBS
    store.close()
    assert each < MOST, f"a waiting job with 100 bytes of payload takes {each:.0f} bytes"
