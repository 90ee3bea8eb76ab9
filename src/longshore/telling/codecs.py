"""How what a task tells is stored."""

from __future__ import annotations

from typing import Any

from longshore.codecs import Choice, TypedCodec


class TellingCodecs:
    """The codecs of what one task tells, by type.

    Args:
        choice: the codecs that it is written with and read with.
        replies: the type of its replies.

    Raises:
        ConfigurationError: replies of this type could not come back.
    """

    def __init__(self, choice: Choice, replies: Any) -> None:
        self._choice = choice
        self._replies: TypedCodec[Any] = TypedCodec(choice, replies)
        self._of_anything = self._replies if replies is Any else TypedCodec[Any](choice, Any)

    def of(self, kind: Any = None) -> TypedCodec[Any]:
        """The codec of values of a type; None: of replies.

        Raises:
            ConfigurationError: values of this type could not come back.
        """
        if kind is None:
            return self._replies
        return self._of_anything if kind is Any else TypedCodec(self._choice, kind)
