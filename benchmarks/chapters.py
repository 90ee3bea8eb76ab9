"""``benchmarks/RESULTS.md``: a chapter for each store, of which a run writes its own and leaves the others."""

import re
from pathlib import Path

from benchmarks.report import TITLES

RESULTS = Path(__file__).parent / "RESULTS.md"
_HEAD = re.compile(r"^# Benchmark results: (.+)$", re.MULTILINE)


def put(chapter: str, book: Path = RESULTS) -> None:
    """Puts a store's page in the place of its former one."""
    chapters = _chapters(book.read_text() if book.exists() else "")
    chapters |= _chapters(chapter)
    order = [*TITLES.values()]
    book.write_text("\n".join(chapters[title] for title in sorted(chapters, key=order.index)))


def _chapters(text: str) -> dict[str, str]:
    heads = [*_HEAD.finditer(text)]
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head[1]: text[head.start() : end].rstrip() + "\n" for head, end in zip(heads, ends, strict=True)}
