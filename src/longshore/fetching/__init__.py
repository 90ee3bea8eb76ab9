"""Jobs taken by hand: reserved in batches, each begun and settled by whoever fetched it."""

from longshore.fetching.fetch import Fetch
from longshore.fetching.job import FetchedJob

__all__ = ["Fetch", "FetchedJob"]
