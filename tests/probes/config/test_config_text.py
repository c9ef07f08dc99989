"""Settings and prompts as editors save them, and the files that the environment names."""

import codecs
from pathlib import Path

import pytest
import trustme

from probes.config.errors import ConfigError
from probes.config.file import load_config, parse_config, single_route_config
from probes.config.text import EncodingError, decode_text
from probes.kit.words import plainly, quoted

SETTINGS = "[routes.r]\nbase_url = 'http://127.0.0.1:9/v1'\nmodel = 'm'\nprompt_file = 'p.txt'\n"
NOTEPAD = "(Notepad and PowerShell call it Unicode), expected UTF-8: save it as that"


def written(folder: Path, settings: bytes, prompt: bytes = b"Hello.") -> Path:
    for name, data in (("routes.toml", settings), ("p.txt", prompt)):
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o600)
    return folder / "routes.toml"


def test_the_mark_before_utf_8_is_none_of_the_text(tmp_path: Path) -> None:
    marked = codecs.BOM_UTF8 + SETTINGS.replace("\n", "\r\n").encode()
    config = load_config(written(tmp_path, marked, codecs.BOM_UTF8 + b"Hello."), {})
    assert [route.prompt for route in config.routes] == ["Hello."]


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
    ],
)
def test_another_encoding_is_named_with_what_mends_it(
    tmp_path: Path, encoding: str, name: str
) -> None:
    with pytest.raises(ConfigError) as told:
        load_config(written(tmp_path, SETTINGS.encode(encoding)), {})
    assert told.value.problems == (f"routes.toml: is in {name} {NOTEPAD}",)
    with pytest.raises(ConfigError, match=f"p.txt: is in {name}"):
        load_config(written(tmp_path, SETTINGS.encode(), "Hello.".encode(encoding)), {})


def test_what_is_no_utf_8_is_told_by_its_line() -> None:
    with pytest.raises(EncodingError, match="line 3: is not UTF-8"):
        decode_text(b"a\nb\n# \xe4\n")
    assert decode_text(b"") == ""


@pytest.mark.parametrize("data", [b"", b"\n \r\n", codecs.BOM_UTF8])
def test_an_empty_file_is_told_how_to_begin(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ConfigError) as told:
        load_config(written(tmp_path, data), {})
    (problem,) = told.value.problems
    assert "routes.toml: is empty, expected at least one table [routes.NAME]; " in problem
    assert problem.endswith("`llmtop init --stdout` prints a whole file to begin with")


def test_a_device_as_settings_is_told_what_to_do_and_nothing_harmful() -> None:
    with pytest.raises(ConfigError) as told:
        load_config(Path("/dev/null"), {})
    (problem,) = told.value.problems
    assert problem == (
        "/dev/null: is a device, expected a regular file; "
        "for one route without any file: --base-url URL --model M"
    )
    assert "chmod" not in problem


HTTPS = "[routes.r]\nbase_url = 'https://h/v1'\nmodel = 'm'\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    file.chmod(0o600)
    return file


def problems_of(settings: str, environ: dict[str, str]) -> tuple[str, ...]:
    try:
        parse_config(settings, Path("routes.toml"), environ)
    except ConfigError as error:
        return error.problems
    return ()


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    none, empty = tmp_path / "none.pem", tmp_path / "empty.pem"
    empty.write_text("no certificate")
    empty.chmod(0o600)
    assert problems_of(HTTPS, {"SSL_CERT_FILE": str(none)}) == (
        f'SSL_CERT_FILE: "{none}" cannot be read: No such file or directory',
    )
    assert problems_of(HTTPS, {"SSL_CERT_FILE": str(empty)}) == (
        f'SSL_CERT_FILE: "{empty}" holds no certificate in PEM form',
    )
    for folders in (str(none), f"{none}:{empty}"):
        assert problems_of(HTTPS, {"SSL_CERT_DIR": folders}) == (
            f"SSL_CERT_DIR: {quoted(folders)} is no folder, "
            "expected the one of the authorities to trust",
        )
    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        single_route_config("https://h", "m", environ={"SSL_CERT_FILE": str(none)})


def test_a_bundle_that_is_there_or_that_nobody_needs_is_no_problem(
    tmp_path: Path, authority: Path
) -> None:
    none = str(tmp_path / "none")
    assert problems_of(HTTPS, {"SSL_CERT_FILE": str(authority), "SSL_CERT_DIR": none}) == ()
    assert problems_of(HTTPS, {"SSL_CERT_DIR": f"{none}:{tmp_path}"}) == ()
    assert problems_of(HTTPS, {"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}) == ()
    lost = {"SSL_CERT_FILE": none}
    assert problems_of(HTTPS.replace("https:", "http:"), lost) == ()
    assert problems_of(f"{HTTPS}tls = {{ ca_file = '{authority}' }}\n", lost) == ()
    assert problems_of(f"{HTTPS}tls = {{ verify = false }}\n", lost) == ()


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        (
            "[Errno 111] Connect call failed ('127.0.0.1', 4044)",
            "Connect call failed 127.0.0.1:4044",
        ),
        (
            "[Errno 111] Connect call failed ('::1', 80, 0, 0)",
            "Connect call failed [::1]:80",
        ),
        ("[Errno -2] Name or service not known", "Name or service not known"),
        ("[Errno 20] Not a directory: '/dev/null/x'", "Not a directory: /dev/null/x"),
        ("invalid choice: 'x' (choose from 'a', 'b')", "invalid choice: x (choose from a, b)"),
        ("the server's name isn't", "the server's name isn't"),
    ],
)
def test_what_python_says_is_told_without_its_quotes(said: str, plain: str) -> None:
    assert plainly(said) == plain


def test_values_are_quoted_as_json_and_toml_have_them() -> None:
    assert quoted("it's \x1b") == '"it\'s \\u001b"'
    assert quoted(b"\x16\x03\xff") == '"\\u0016\\u0003\\u00ff"'
