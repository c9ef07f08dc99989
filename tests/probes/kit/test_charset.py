"""Whole bodies in other encodings than UTF-8."""

import pytest

from probes.kit.charset import as_utf8

TEXT = '{"error": "Modèle inconnu"}'
JAPANESE = '{"error": "モデルがありません"}'
JSON = "application/json"


@pytest.mark.parametrize(
    "charset", ["iso-8859-1", "Latin1", "windows-1252", "iso-8859-15", '"cp1252"']
)
def test_the_charset_of_the_content_type_is_heeded(charset: str) -> None:
    body = TEXT.encode(charset.strip('"'))
    assert as_utf8(body, f"{JSON}; charset={charset}").decode() == TEXT


@pytest.mark.parametrize("charset", ["shift_jis", "euc-jp", "iso-2022-jp", "gb18030", "utf-16"])
def test_east_asian_charsets_are_heeded(charset: str) -> None:
    assert as_utf8(JAPANESE.encode(charset), f"{JSON};charset={charset}").decode() == JAPANESE


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_shows_itself(charset: str) -> None:
    assert as_utf8(TEXT.encode(charset), JSON).decode() == TEXT


def test_bytes_that_are_utf_8_are_so_whatever_they_are_called() -> None:
    assert as_utf8(TEXT.encode(), f"{JSON}; charset=iso-8859-1") == TEXT.encode()


@pytest.mark.parametrize(
    "charset", ["rot13", "unicode_escape", "punycode", "idna", "zip", "x" * 99, ""]
)
def test_what_is_no_charset_of_texts_changes_nothing(charset: str) -> None:
    body = TEXT.encode("latin-1")
    assert as_utf8(body, f"{JSON}; charset={charset}") == body


def test_half_characters_do_not_pass() -> None:
    assert as_utf8(b'{\0"\0\0\xd8"\0}\0', JSON).decode() == '{"\ufffd"}'
