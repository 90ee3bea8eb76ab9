"""The arguments of a task: bound to its signature, checked, encoded, and back."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Mapping
from inspect import Parameter
from types import GenericAlias
from typing import Any, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from longshore.codecs import JsonCodec, is_native
from longshore.errors import ConfigurationError, InvalidValue

_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class Arguments:
    """How the arguments of one function are stored: a JSON object by parameter, without those left at their default."""

    codec = JsonCodec.name

    def __init__(self, function: Callable[..., Any], *, skip_first: bool = False) -> None:
        parameters = list(inspect.signature(function).parameters.values())[skip_first:]
        hints = hints_of(function)
        self._name = function.__qualname__
        self._signature = inspect.Signature(parameters)
        self._parameters = parameters
        self._loose = [parameter.name for parameter in parameters if parameter.name not in hints]
        self._order = [parameter.name for parameter in parameters]
        self._rest = next((each.name for each in parameters if each.kind is Parameter.VAR_POSITIONAL), None)
        self._struct = _struct_for(function.__name__, parameters, hints)
        self._codec: JsonCodec[Any] = self._codec_of(hints)
        self._simple = all(parameter.kind is Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The arguments of one call as bytes.

        Raises:
            InvalidValue: they do not fit the signature, or one of them has no form in JSON; it is named.
        """
        bound = self._bind(args, kwargs)
        for name in self._loose:
            value = getattr(bound, name)
            if value is not UNSET and not is_native(value):
                raise InvalidValue(
                    f"{self._name}() got a {type(value).__qualname__} as {name!r}, which has no annotation and would "
                    "not come back as it is: annotate the parameter with its type, or pass a JSON value"
                )
        try:
            payload = self._codec.encode(bound)
        except InvalidValue:
            raise self._unencodable(bound) from None
        try:
            self._codec.decode(payload)
        except InvalidValue as error:
            raise InvalidValue(f"{self._name}() got arguments that do not match its annotations: {error}") from error
        return payload

    def decode(self, payload: bytes) -> tuple[list[Any], dict[str, Any]]:
        """The arguments that were stored, to call the function with.

        Raises:
            InvalidValue: they do not fit the signature that the function has now.
        """
        bound = self._codec.decode(payload)
        if self._simple:
            values = msgspec.structs.astuple(bound)
            if UNSET not in values:
                return list(values), {}
        return self._spread(bound)

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

    def _bind_slowly(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        try:
            bound = self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise InvalidValue(
                f"{self._name}{self._signature} cannot be called with these arguments: {error}"
            ) from error
        return {name: list(value) if name == self._rest else value for name, value in bound.items()}

    def _codec_of(self, hints: Mapping[str, Any]) -> JsonCodec[Any]:
        try:
            return JsonCodec(self._struct)
        except ConfigurationError:
            for name in self._order:
                try:
                    JsonCodec[Any](hints.get(name, Any))
                except ConfigurationError as error:
                    raise ConfigurationError(
                        f"the annotation of {name!r} of {self._name}() is of no use: {error}"
                    ) from error
            raise

    def _unencodable(self, bound: Any) -> InvalidValue:
        for name in self._order:
            value = getattr(bound, name)
            if value is not UNSET:
                try:
                    self._codec.encode(value)
                except InvalidValue as error:
                    return InvalidValue(f"{self._name}() got {name!r}, a {type(value).__qualname__}: {error}")
        return InvalidValue(f"{self._name}() got arguments that have no form in JSON")


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


def result_codec(function: Callable[..., Any]) -> JsonCodec[Any]:
    """How the function's results are stored: as it is annotated, or as JSON values.

    Raises:
        ConfigurationError: results of the annotated type could not come back.
    """
    try:
        return JsonCodec(hints_of(function).get("return", Any))
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
