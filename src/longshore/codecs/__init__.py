"""How arguments and results become bytes and come back: JSON unless an application chooses otherwise.

Dataclasses, `datetime`, `UUID`, `Decimal`, `bytes`, enums, sets, tuples and named tuples come back as annotated; so do
paths, and pydantic models where pydantic is installed.
"""

from longshore.codecs.choice import Choice, TypedCodec
from longshore.codecs.codec import Codec, is_native
from longshore.codecs.compressed import Compressed
from longshore.codecs.encrypted import Encrypted
from longshore.codecs.json import JSON, JsonCodec
from longshore.codecs.keys import new_key
from longshore.codecs.messagepack import MESSAGEPACK, MessagePackCodec
from longshore.codecs.pickled import Pickle
from longshore.codecs.plain import PlainCodec
from longshore.codecs.wrapper import Wrapper

__all__ = [
    "JSON",
    "MESSAGEPACK",
    "Choice",
    "Codec",
    "Compressed",
    "Encrypted",
    "JsonCodec",
    "MessagePackCodec",
    "Pickle",
    "PlainCodec",
    "TypedCodec",
    "Wrapper",
    "is_native",
    "new_key",
]
