"""Other codecs than JSON, codecs around codecs, and which one a name stands for."""

from __future__ import annotations

import ast
import contextlib
import math
import pickle
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cargo import CARGO, CARGO_NAMES, Color, Crate
from longshore.codecs import (
    JSON,
    MESSAGEPACK,
    Choice,
    Codec,
    Compressed,
    Encrypted,
    JsonCodec,
    MessagePackCodec,
    Pickle,
    PlainCodec,
    TypedCodec,
    new_key,
)
from longshore.errors import ConfigurationError, InvalidValue, Tampered, TooLarge, UnknownCodec

OLD, NEW = b"o" * 32, b"n" * 32
LITERAL: PlainCodec[Any] = PlainCodec(
    "literal", dump=lambda value: repr(value).encode(), load=lambda data: ast.literal_eval(data.decode())
)
EVERY_CODEC: list[Codec[Any]] = [
    JSON,
    MESSAGEPACK,
    LITERAL,
    Pickle(keys=[OLD]),
    Compressed(JSON, least=0),
    Compressed(Pickle(keys=[OLD])),
    Encrypted(JSON, keys=[OLD]),
    Encrypted(Compressed(MESSAGEPACK, least=0), keys=[NEW, OLD]),
]
NAMES = [codec.name for codec in EVERY_CODEC]
WRAPPED = [codec for codec in EVERY_CODEC if "+" in codec.name or codec.name == "pickle"]


class Nothing:
    """What no plain format knows."""

    def __reduce__(self) -> Any:
        raise RuntimeError("not to be pickled")


class TestEveryCodec:
    def test_their_names_say_what_is_around_what(self) -> None:
        assert NAMES == [
            "json",
            "messagepack",
            "literal",
            "pickle",
            "json+zlib",
            "pickle+zlib",
            "json+aes-gcm",
            "messagepack+zlib+aes-gcm",
        ]

    @pytest.mark.parametrize("codec", EVERY_CODEC, ids=NAMES)
    @pytest.mark.parametrize(("kind", "value"), CARGO, ids=CARGO_NAMES)
    def test_a_value_comes_back_as_its_annotation_says(self, codec: Codec[Any], kind: Any, value: Any) -> None:
        typed = codec.of(kind)
        assert typed.name == codec.name
        if "messagepack" in codec.name and isinstance(value, int) and abs(value) > 2**64:
            with pytest.raises(InvalidValue, match="64"):
                typed.encode(value)
            return
        back = typed.decode(typed.encode(value))
        assert back == value
        assert type(back) is type(value)

    @pytest.mark.parametrize("codec", EVERY_CODEC, ids=NAMES)
    def test_what_has_no_form_is_refused(self, codec: Codec[Any]) -> None:
        with pytest.raises(InvalidValue):
            codec.encode(Nothing())

    @pytest.mark.parametrize("codec", EVERY_CODEC, ids=NAMES)
    @given(data=st.binary(max_size=80))
    def test_bytes_of_another_origin_are_a_value_or_refused(self, codec: Codec[Any], data: bytes) -> None:
        with contextlib.suppress(InvalidValue):
            assert codec.of(list[int]).decode(data) is not None

    @pytest.mark.parametrize("codec", EVERY_CODEC, ids=NAMES)
    def test_it_satisfies_the_protocol(self, codec: Codec[Any]) -> None:
        assert isinstance(codec, Codec)
        assert codec.keeps_types is ("pickle" in codec.name)

    @pytest.mark.parametrize("codec", EVERY_CODEC, ids=NAMES)
    def test_equal_values_have_equal_fingerprints_and_others_have_others(self, codec: Codec[Any]) -> None:
        one, same, other = (codec.fingerprint(codec.encode(value)) for value in ({"a": 1}, {"a": 1}, {"a": 2}))
        assert one == same
        assert one != other

    @pytest.mark.parametrize(
        "codec", [codec for codec in EVERY_CODEC if not codec.keeps_types], ids=[n for n in NAMES if "pickle" not in n]
    )
    def test_a_type_whose_values_could_not_be_told_apart_is_refused_at_once(self, codec: Codec[Any]) -> None:
        with pytest.raises(ConfigurationError):
            codec.of(list[int] | set[int])


class TestMessagePack:
    def test_a_pydantic_model_comes_back(self) -> None:
        pydantic = pytest.importorskip("pydantic")
        model = pydantic.create_model("Order", number=(int, ...), placed=(datetime, ...))
        order = model(number=5, placed=datetime(2026, 1, 1, tzinfo=UTC))
        codec: MessagePackCodec[Any] = MessagePackCodec(model | None)
        assert codec.decode(codec.encode(order)) == order

    def test_bytes_are_not_blown_up(self) -> None:
        content = bytes(1_000)
        assert len(MESSAGEPACK.encode(content)) < 1_010 < len(JSON.encode(content))


class TestPlainCodec:
    def test_its_functions_see_only_plain_values(self) -> None:
        seen: list[object] = []
        codec: PlainCodec[Any] = PlainCodec("seen", dump=lambda value: seen.append(value) or b"", load=ast.literal_eval)
        codec.of(Crate).encode(Crate("a", Decimal(1), datetime(2026, 1, 1, tzinfo=UTC)))
        codec.encode({Path("a"): Color.RED})
        assert seen[1] == {"a": "red"}
        assert type(seen[0]) is dict

    def test_whatever_its_functions_raise_is_one_error(self) -> None:
        def fail(_: object) -> Any:
            raise KeyError("out of order")

        broken: PlainCodec[Any] = PlainCodec("broken", dump=fail, load=fail)
        with pytest.raises(InvalidValue, match=r"broken.*out of order"):
            broken.encode(1)
        with pytest.raises(InvalidValue, match="out of order"):
            broken.decode(b"1")


class Bomb:
    """A pickle of it runs code when it is loaded."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("a pickle was loaded that is signed with no key",))


class TestPickle:
    def test_what_no_annotation_names_comes_back(self) -> None:
        codec = Pickle(keys=[OLD])
        value = {"range": range(3), "number": 1j, "pair": (1, {2}), "nan": math.inf}
        assert codec.decode(codec.encode(value)) == value

    def test_what_is_not_signed_is_refused_before_it_is_loaded(self) -> None:
        data = pickle.dumps(Bomb())
        codec = Pickle(keys=[OLD, NEW])
        for forged in (data, bytes(32) + data, Pickle(keys=[b"x" * 32]).encode(Bomb()), b""):
            with pytest.raises(Tampered, match="signed with one of the keys"):
                codec.decode(forged)

    def test_the_first_key_signs_and_any_of_them_verifies(self) -> None:
        before, between, after = Pickle(keys=[OLD]), Pickle(keys=[NEW, OLD]), Pickle(keys=[NEW])
        assert between.decode(before.encode(1)) == 1
        assert after.decode(between.encode(2)) == 2
        with pytest.raises(Tampered):
            before.decode(between.encode(3))

    def test_a_class_that_is_gone_is_an_invalid_value(self) -> None:
        codec = Pickle(keys=[OLD])
        gone = codec.encode(Color.RED).replace(b"Color", b"Colos")[32:]
        with pytest.raises(InvalidValue, match="Colos"):
            codec.decode(codec._keys[0].derive(b"pickle", gone) + gone)


@pytest.mark.parametrize("codec", WRAPPED, ids=lambda codec: codec.name)
@given(data=st.data())
def test_a_changed_byte_never_gives_another_value(codec: Codec[Any], data: st.DataObject) -> None:
    encoded = bytearray(codec.encode("some words, some words, some words"))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    if codec.name == "json+zlib":
        with contextlib.suppress(InvalidValue):
            assert codec.decode(bytes(encoded)) == "some words, some words, some words"
    else:
        with pytest.raises(InvalidValue):
            codec.decode(bytes(encoded))


class TestCompressed:
    def test_what_is_large_gets_smaller_and_what_is_small_or_random_stays(self) -> None:
        codec = Compressed(JSON, least=100)
        assert len(codec.encode("a" * 1_000)) < 50
        assert codec.encode("a" * 10) == b'\0"aaaaaaaaaa"'
        assert codec.encode(list(range(2))) == b"\0[0,1]"

    @pytest.mark.parametrize(
        "spoil",
        [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"\2" + data[1:]],
        ids=["cut", "longer", "unmarked"],
    )
    def test_what_is_not_whole_is_refused(self, spoil: Callable[[bytes], bytes]) -> None:
        codec = Compressed(JSON, least=0)
        with pytest.raises(InvalidValue, match="expected compressed bytes"):
            codec.decode(spoil(codec.encode("a" * 100)))

    def test_little_that_swells_to_much_is_refused_without_swelling(self) -> None:
        bomb = b"\1" + zlib.compress(b" " * 10_000_000)
        with pytest.raises(TooLarge, match="swell to at most 1,000,000"):
            Compressed(JSON, largest=1_000_000).decode(bomb)

    def test_what_could_not_be_opened_again_is_not_closed(self) -> None:
        codec = Compressed(JSON, largest=100)
        assert codec.decode(codec.encode("a" * 98)) == "a" * 98
        with pytest.raises(TooLarge, match="at most 100 bytes"):
            codec.encode("a" * 99)


class TestEncrypted:
    def test_nothing_of_the_value_is_seen_and_nothing_repeats(self) -> None:
        codec = Encrypted(JSON, keys=[OLD])
        one, other = codec.encode("a secret"), codec.encode("a secret")
        assert b"secret" not in one + other
        assert one[9:] != other[9:]

    def test_keys_are_changed_one_after_the_other(self) -> None:
        before, between, after = (Encrypted(JSON, keys=keys) for keys in ([OLD], [NEW, OLD], [NEW]))
        assert between.decode(before.encode(1)) == 1
        assert after.decode(between.encode(2)) == 2
        with pytest.raises(Tampered, match="one of the keys given") as caught:
            after.decode(before.encode(3))
        assert before._keys[0].identity.hex() in str(caught.value)

    def test_a_payload_under_another_codec_s_name_is_refused(self) -> None:
        data = Encrypted(JSON, keys=[OLD]).encode("1")
        with pytest.raises(Tampered, match="changed"):
            Encrypted(MESSAGEPACK, keys=[OLD]).decode(data)

    def test_a_fingerprint_cannot_be_found_without_the_key(self) -> None:
        one, other = Encrypted(JSON, keys=[OLD]), Encrypted(JSON, keys=[NEW])
        assert one.fingerprint(one.encode(1)) != other.fingerprint(other.encode(1))

    def test_without_its_package_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "longshore.codecs.aes", None)
        monkeypatch.delattr("longshore.codecs.aes", raising=False)
        with pytest.raises(ConfigurationError, match=r"pip install 'longshore\[crypto\]'"):
            Encrypted(JSON, keys=[OLD])


class TestKeys:
    @pytest.mark.parametrize(
        "make", [lambda keys: Pickle(keys=keys), lambda keys: Encrypted(JSON, keys=keys)], ids=["pickle", "aes"]
    )
    @pytest.mark.parametrize(
        ("keys", "wrong"),
        [
            ([], "at least one key"),
            (OLD, "expected a list of keys"),
            ("s3cret", "expected a list of keys"),
            ([OLD, b"s3cret"], "key 2 must be 32 bytes"),
            (["s3cret"], "key 1 must be 32 bytes"),
            (["s3cret–"], "key 1 must be 32 bytes"),
            ([None], "key 1 must be 32 bytes"),
        ],
        ids=str,
    )
    def test_what_is_no_key_is_refused_and_not_shown(self, make: Callable[[Any], Any], keys: Any, wrong: str) -> None:
        with pytest.raises(ConfigurationError, match=wrong) as caught:
            make(keys)
        assert "s3cret" not in str(caught.value)

    def test_a_new_key_is_random_text_that_serves(self) -> None:
        one, other = new_key(), new_key()
        assert one != other
        codec = Encrypted(Pickle(keys=[one]), keys=[other])
        assert codec.decode(codec.encode({1})) == {1}

    @pytest.mark.parametrize("codec", [Pickle(keys=[OLD]), Encrypted(Pickle(keys=[OLD]), keys=[NEW, OLD])], ids=repr)
    def test_keys_show_nowhere(self, codec: Any) -> None:
        shown = repr(codec) + str(codec) + repr(vars(codec)) + repr(vars(getattr(codec, "inner", codec)))
        assert "oooo" not in shown
        assert "nnnn" not in shown
        for error in (Tampered, InvalidValue):
            with pytest.raises(error) as caught:
                codec.decode(bytes(100))
            assert "oooo" not in str(caught.value)


class TestChoice:
    def test_json_is_written_and_what_needs_no_key_is_read(self) -> None:
        choice = Choice()
        assert choice.chosen is JSON
        for name in ("json", "messagepack", "json+zlib", "messagepack+zlib"):
            assert choice.named(name).name == name

    @pytest.mark.parametrize("name", ["pickle", "pickle+zlib", "json+aes-gcm", "json+rot13", "", "+", "yaml"])
    def test_what_is_not_switched_on_is_unknown(self, name: str) -> None:
        with pytest.raises(UnknownCodec, match="no codec is known as"):
            Choice().named(name)

    def test_a_codec_is_chosen_by_object_or_name(self) -> None:
        assert Choice(LITERAL).chosen is LITERAL
        assert Choice("messagepack").chosen is MESSAGEPACK
        with pytest.raises(UnknownCodec):
            Choice("pickle")

    def test_what_was_stored_before_the_choice_changed_is_still_read(self) -> None:
        before = Encrypted(Compressed(JSON), keys=[OLD])
        data = before.encode([1])
        for after in (
            Choice(Encrypted(MESSAGEPACK, keys=[NEW, OLD])),
            Choice(JSON, [before]),
            Choice(LITERAL, [Encrypted(LITERAL, keys=[OLD])]),
            Choice(Compressed(Encrypted(JSON, keys=[OLD]))),
            Choice(before).instead(MESSAGEPACK),
        ):
            assert after.named(before.name).decode(data) == [1]

    def test_of_two_codecs_of_one_name_the_chosen_one_is_taken(self) -> None:
        one, other = Pickle(keys=[OLD]), Pickle(keys=[NEW])
        assert Choice(one, [other]).named("pickle") is one
        assert Choice(one).instead(other).named("pickle") is other

    @pytest.mark.parametrize("wrong", [5, JsonCodec, None, b"json", range(3)], ids=str)
    def test_what_is_no_codec_is_refused_by_its_type(self, wrong: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"expected a codec, such as longshore\.codecs\.JSON"):
            Choice(wrong)
        with pytest.raises(ConfigurationError, match=r"expected a codec, such as longshore\.codecs\.JSON"):
            Choice(JSON, [wrong])

    @pytest.mark.parametrize("name", ["", "Yaml", "a b", "+", "a+", "+a", "ä", "a\n", "x" * 101], ids=ascii)
    def test_a_name_that_no_store_should_hold_is_refused(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match="a codec's name must be"):
            Choice(PlainCodec(name, dump=bytes, load=str))

    def test_typed_values_are_read_with_the_codec_they_were_written_with(self) -> None:
        written = [(codec.of(set[int]).encode({1, 2}), codec.name) for codec in EVERY_CODEC]
        values: TypedCodec[set[int]] = TypedCodec(Choice(LITERAL, EVERY_CODEC[3:]), set[int])
        assert [values.decode(data, name) for data, name in written] == [{1, 2}] * len(EVERY_CODEC)
        assert values.name == "literal"

    def test_a_codec_of_one_s_own_needs_only_the_protocol(self) -> None:
        class Reversed(Codec[Any]):
            name = "reversed"

            def __init__(self, inner: Codec[Any]) -> None:
                self.inner = inner

            def of(self, kind: Any) -> Codec[Any]:
                return Reversed(JsonCodec(kind))

            def encode(self, value: Any) -> bytes:
                return self.inner.encode(value)[::-1]

            def decode(self, data: bytes) -> Any:
                return self.inner.decode(data[::-1])

        values: TypedCodec[Path] = TypedCodec(Choice(Reversed(JSON)), Path)
        assert values.encode(Path("a/b")) == b'"b/a"'
        assert values.decode(b'"b/a"', "reversed") == Path("a/b")
