"""The arguments of a task: bound to its signature, checked, encoded, and back."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter
from types import GenericAlias
from typing import Any, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from longshore.codecs import Choice, TypedCodec, is_native
from longshore.codecs.json import canonical
from longshore.codecs.ordered import in_order, may_hold_sets
from longshore.errors import ConfigurationError, InvalidValue, Tampered, TooLarge, UnknownCodec
from longshore.redaction import hider, shown_call, shown_error

_MISFIT = re.compile(r"(?s)(?P<what>.+) - at `\$\.(?P<place>[^`]+)`")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]+)`")
_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class Arguments:
    """How the arguments of one function are stored: an object by parameter, without those left at their default.

    Args:
        function: whose arguments they are.
        skip_first: whether the first parameter is no argument.
        choice: the codecs that they are written with and read with.
        secret: the parameters whose values are never shown.
        name: of the task, under which its errors speak of it; the function's own if none is given.

    Raises:
        ConfigurationError: an annotation is of no use, or there is no parameter of a secret name.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        skip_first: bool = False,
        choice: Choice | None = None,
        secret: Iterable[str] = (),
        name: str | None = None,
    ) -> None:
        parameters = list(inspect.signature(function).parameters.values())[skip_first:]
        hints = hints_of(function)
        self._name = name or function.__qualname__
        self._signature = inspect.Signature(
            [each.replace(annotation=hints.get(each.name, Parameter.empty)) for each in parameters]
        )
        self._parameters = parameters
        self._loose = [parameter.name for parameter in parameters if parameter.name not in hints]
        self._order = [parameter.name for parameter in parameters]
        self._rest = next((each.name for each in parameters if each.kind is Parameter.VAR_POSITIONAL), None)
        self._struct = _struct_for(function.__name__, parameters, hints)
        self._codec = self._codec_of(hints, choice or Choice())
        self._may_hold_sets = not self._codec.keeps_types and any(
            may_hold_sets(hints[name]) for name in self._order if name in hints
        )
        self._simple = all(parameter.kind is Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)
        self.codec = self._codec.name
        self.fingerprint = self._codec.fingerprint
        self.secret = self._checked(secret)

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The arguments of one call as bytes.

        Raises:
            InvalidValue: they do not fit the signature, or one of them has no form in JSON; it is named.
        """
        return self._encoded(self._bind(args, kwargs))

    def encode_named(self, values: Mapping[str, Any]) -> bytes:
        """The same of arguments by name, as `named` gives them.

        Raises:
            InvalidValue: as by `encode`.
        """
        return self._encoded(self._by_name(values))

    def _encoded(self, bound: Any) -> bytes:
        if not self._codec.keeps_types:
            self._check_loose(bound)
        try:
            # A repeat of the call is told by its bytes, also one that is made in another process.
            payload = self._codec.encode(in_order(bound) if self._may_hold_sets else self._form(bound))
        except InvalidValue:
            raise self._unencodable(bound) from None
        try:
            self._load(payload, self.codec)
        except InvalidValue as error:
            told = _about_the_argument(shown_error(error, self.secret))
            raise InvalidValue(f"{self._name}() got {told}") from (None if self.secret else error)
        return payload

    def _check_loose(self, bound: Any) -> None:
        for name in self._loose:
            value = getattr(bound, name)
            if value is not UNSET and not is_native(value):
                raise InvalidValue(
                    f"{self._name}() got {name!r} of type {type(value).__qualname__}, which has no annotation and "
                    "would not come back as it is: annotate the parameter with its type, or pass a JSON value"
                )

    def identity(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], names: tuple[str, ...] = ()) -> bytes:
        """The arguments of these names, or all, as bytes that are equal when they are; those at their default left out.

        Raises:
            InvalidValue: as `encode` does, or there is no parameter of such a name.
        """
        return self._identity(self._bind(args, kwargs), names)

    def identity_named(self, values: Mapping[str, Any], names: tuple[str, ...] = ()) -> bytes:
        """The same of arguments by name.

        Raises:
            InvalidValue: as by `identity`.
        """
        return self._identity(self._by_name(values), names)

    def _identity(self, bound: Any, names: tuple[str, ...]) -> bytes:
        if unknown := set(names) - set(self._order):
            raise InvalidValue(f"{self._name}{self._signature} has no parameter {', '.join(sorted(unknown))}")
        bound = self._load(self._codec.encode(self._form(bound)), self.codec)
        values = {name: getattr(bound, name) for name in names or self._order}
        return canonical({name: value for name, value in values.items() if not self._is_default(name, value)})

    def _is_default(self, name: str, value: Any) -> bool:
        default = self._signature.parameters[name].default
        return value is UNSET or (type(value) is type(default) and value == default)

    def decode(self, payload: bytes, codec: str | None = None) -> tuple[list[Any], dict[str, Any]]:
        """The arguments that were stored, to call the function with.

        Args:
            payload: as it was stored.
            codec: the name of the codec that they were stored with; None for the one that they are stored with now.

        Raises:
            InvalidValue: they do not fit the signature that the function has now.
            Tampered: they were changed, or their key is not given.
            UnknownCodec: no codec is known by this name.
        """
        bound = self._read(payload, codec or self.codec)
        if self._simple:
            values = msgspec.structs.astuple(bound)
            if UNSET not in values:
                return list(values), {}
        return self._spread(bound)

    def named(self, payload: bytes, codec: str) -> dict[str, Any]:
        """The arguments that were given, by name.

        Raises:
            InvalidValue, Tampered, UnknownCodec: as by `decode`.
        """
        return self._given(self._read(payload, codec))

    def spread(self, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """What to call the function with for arguments by name.

        Raises:
            InvalidValue: they do not fit the signature.
        """
        return self._spread(self._by_name(values))

    def shown(self, task: str, payload: bytes, codec: str) -> str:
        """The call of a task that was stored, as people may see it: secret arguments are hidden, long ones cut."""
        try:
            values = self._given(self._load(payload, codec))
        except Exception:  # noqa: BLE001 - what is stored may be anything, and a type's own hook may raise anything
            return unreadable_call(task, payload, codec)
        return shown_call(task, values, self.secret)

    def hider(self, payload: bytes, codec: str | None = None) -> Callable[[str], str]:
        """A function that hides, in a text, what the secret arguments of a stored call hold."""
        if not self.secret:
            return str
        try:
            values = self._given(self._load(payload, codec or self.codec))
        except Exception:  # noqa: BLE001 - nobody can have seen in clear what cannot be read
            return str
        return self.hider_of(values)

    def hider_of(self, values: Mapping[str, Any]) -> Callable[[str], str]:
        """The same for arguments by name."""
        return hider(value for name, value in values.items() if name in self.secret)

    def _form(self, bound: Any) -> Any:
        return self._given(bound) if self._codec.keeps_types else bound

    def _given(self, bound: Any) -> dict[str, Any]:
        values = {name: getattr(bound, name) for name in self._order}
        return {name: value for name, value in values.items() if value is not UNSET}

    def _read(self, payload: bytes, codec: str) -> Any:
        try:
            return self._load(payload, codec)
        except (Tampered, TooLarge, UnknownCodec):
            raise
        except Exception as error:
            if not self.secret and not isinstance(error, InvalidValue):
                raise
            told = _about_the_argument(shown_error(error, self.secret))
            raise InvalidValue(f"{self._name}() cannot take the arguments that were stored: {told}") from (
                None if self.secret else error
            )

    def _load(self, payload: bytes, codec: str) -> Any:
        value = self._codec.decode(payload, codec)
        if type(value) is self._struct:
            return value
        if not isinstance(value, dict):  # It is of a codec that keeps types, so it may be anything.
            raise InvalidValue(f"expected arguments by name, got a {type(value).__qualname__}")
        try:
            return self._struct(**value)
        except TypeError as error:
            raise InvalidValue(str(error)) from error

    def _spread(self, bound: Any) -> tuple[list[Any], dict[str, Any]]:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for parameter in self._parameters:
            value = getattr(bound, parameter.name)
            if value is UNSET:
                if parameter.kind in _VARIADIC:
                    continue
                value = parameter.default
            if parameter.kind is Parameter.VAR_POSITIONAL:
                args.extend(value)
            elif parameter.kind is Parameter.VAR_KEYWORD:
                kwargs.update(value)
            elif parameter.kind is Parameter.KEYWORD_ONLY:
                kwargs[parameter.name] = value
            else:
                args.append(value)
        return args, kwargs

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if self._simple:
            try:
                return self._struct(*args, **kwargs)
            except TypeError:
                pass  # The signature says better what is wrong.
        return self._struct(**self._bind_slowly(args, kwargs))

    def _by_name(self, values: Mapping[str, Any]) -> Any:
        try:
            return self._struct(**values)
        except TypeError as error:
            raise InvalidValue(
                f"{self._name}{self._signature} cannot be called with these arguments: {error}"
            ) from error

    def _bind_slowly(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        try:
            bound = self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise InvalidValue(
                f"{self._name}{self._signature} cannot be called with these arguments: {error}"
            ) from error
        return {name: list(value) if name == self._rest else value for name, value in bound.items()}

    def _codec_of(self, hints: Mapping[str, Any], choice: Choice) -> TypedCodec[Any]:
        try:
            return TypedCodec(choice, self._struct)
        except ConfigurationError:
            for name in self._order:
                try:
                    choice.chosen.of(hints.get(name, Any))
                except ConfigurationError as error:
                    raise ConfigurationError(
                        f"the annotation of {name!r} of {self._name}() is of no use: {error}"
                    ) from error
            raise

    def _checked(self, secret: Iterable[str]) -> frozenset[str]:
        names = frozenset([secret] if isinstance(secret, str) else secret)
        if unknown := names - set(self._order):
            raise ConfigurationError(
                f"{self._name}{self._signature} has no parameter {', '.join(sorted(unknown))} to keep secret"
            )
        return names

    def _unencodable(self, bound: Any) -> InvalidValue:
        for name, value in self._given(bound).items():
            try:
                self._codec.encode(value)
            except InvalidValue as error:
                why = "what is wrong is not shown, since it is secret" if name in self.secret else error
                return InvalidValue(f"{self._name}() got {name!r} of type {type(value).__qualname__}: {why}")
        return InvalidValue(f"{self._name}() got arguments that have no form in {self.codec}")


def _about_the_argument(told: str) -> str:
    """What msgspec says of an object and a place in it, as people say it of a call."""
    if match := _MISFIT.fullmatch(told):
        return f"{match['place']!r}: {match['what'][0].lower()}{match['what'][1:]}"
    if match := _MISSING.fullmatch(told):
        return f"no {match[1]!r}, which it needs"
    if match := _UNKNOWN.fullmatch(told):
        return f"{match[1]!r}, which it does not know"
    return told


def unreadable_call(name: str, payload: bytes, codec: str) -> str:
    """A call whose arguments cannot be read here, as people may see it."""
    return f"{name}(… {len(payload):,} bytes of {codec})"


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """What the function's annotations mean.

    Raises:
        ConfigurationError: one names what does not exist.
    """
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ConfigurationError(
            f"the annotations of {function.__qualname__} must name what exists when it is registered: {error}"
        ) from error


def result_codec(function: Callable[..., Any], choice: Choice | None = None) -> TypedCodec[Any]:
    """How the function's results are stored: as it is annotated, or as what the codec brings back without.

    Raises:
        ConfigurationError: results of the annotated type could not come back.
    """
    try:
        return TypedCodec(choice or Choice(), hints_of(function).get("return", Any))
    except ConfigurationError as error:
        raise ConfigurationError(f"what {function.__qualname__}() returns is of no use: {error}") from error


def _struct_for(name: str, parameters: list[Parameter], hints: Mapping[str, Any]) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for parameter in parameters:
        kind = hints.get(parameter.name, Any)
        if parameter.kind is Parameter.VAR_POSITIONAL:
            fields.append((parameter.name, GenericAlias(list, (kind,)) | UnsetType, UNSET))
        elif parameter.kind is Parameter.VAR_KEYWORD:
            fields.append((parameter.name, GenericAlias(dict, (str, kind)) | UnsetType, UNSET))
        elif parameter.default is Parameter.empty:
            fields.append((parameter.name, kind))
        else:
            fields.append((parameter.name, kind | UnsetType if kind is not Any else Any, UNSET))
    ordered = sorted(fields, key=len) if _needs_keywords(parameters) else fields
    safe = name if name.isidentifier() and not keyword.iskeyword(name) else "Call"
    try:
        return msgspec.defstruct(
            f"{safe}_arguments", ordered, kw_only=_needs_keywords(parameters), forbid_unknown_fields=True
        )
    except TypeError as error:
        raise ConfigurationError(f"{name} has an annotation that has no form in JSON: {error}") from error


def _needs_keywords(parameters: list[Parameter]) -> bool:
    return any(parameter.kind is not Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)
