"""What a run tells while it goes on: replies, progress, a cursor (docs/design/replies.md)."""

from longshore.telling.codecs import TellingCodecs
from longshore.telling.cursor import Cursor
from longshore.telling.post import Post
from longshore.telling.reading import Reading, Reply, Restarted, read_on
from longshore.telling.stored import packed
from longshore.telling.voice import Voice

__all__ = ["Cursor", "Post", "Reading", "Reply", "Restarted", "TellingCodecs", "Voice", "packed", "read_on"]
