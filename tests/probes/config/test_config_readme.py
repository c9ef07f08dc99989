"""The page of the settings says what may be set, to what, and what stands without it."""

import re
import tomllib
from pathlib import Path

import pytest
from pages import KB, Page, each_of, number, per_cent, quoted

from probes.answers.check_server import LONGEST_CHECK_S, MOST_MEMORY
from probes.board.standings import ANSWER_TOKENS
from probes.config.expect import LONGEST_TEXT
from probes.config.file import parse_config
from probes.config.goals import E2E_GOAL_CAP
from probes.config.key_command import COMMAND_BYTES, COMMAND_SECONDS
from probes.config.prompts_file import (
    LARGEST_FILE_MB,
    LARGEST_IMAGE_MB,
    LARGEST_IN_ALL_MB,
    MOST_LINES,
    MOST_SHAPES,
    read_prompts,
)
from probes.config.reference import TABLES, prompt_line_table, table
from probes.config.scrubbing import PIECE
from probes.config.settings import LONGEST_PROMPT_MB
from probes.config.workloads import WORKLOADS
from probes.control.evidence import CALM_S, LONGEST_EVIDENCE_S
from probes.control.knobs import KNOBS
from probes.discovery.loopback import HOSTS, PORTS
from probes.discovery.loopback_network import _TIMEOUT_S
from probes.engine.pacing import JITTER
from probes.kit.json_schemas import MOST_BYTES
from probes.kit.open_regular import PIPE_SECONDS
from tui.commands.init import _LISTS_S, PROVIDERS
from tui.draw.theme_names import OWN_THEMES
from tui.keys import SMALL_STEP_S, STEP_S, key_named, page_table, remapped
from tui.terminal import pace

PAGE = Page("probes/config/README.md")


NUMBERS = {
    "The file": (
        "Ollama ({}), vLLM ({}), llama.cpp ({}), SGLang ({}) and LM Studio ({})".format(*PORTS),
        "asks {} and {}".format(*HOSTS),
        f"{_TIMEOUT_S:g} s each and all at once",
        f"within {number(_LISTS_S)} seconds",
    ),
    "A route": (
        f"without a shell and stdin; {COMMAND_SECONDS:g} s, {COMMAND_BYTES // KB} KB",
        f"± {per_cent(JITTER)}",
        f"`max_tokens` is at most {E2E_GOAL_CAP}",
        f"at most {LONGEST_PROMPT_MB} MB",
        f"at most {LONGEST_EVIDENCE_S:g} s at a time",
        f"never within {CALM_S:g} s of a 429",
        f"of at most {MOST_BYTES:,} bytes",
        *(
            f"at most {LONGEST_TEXT:,} characters | {meaning}"
            for meaning in ("A", "The same", "The whole")
        ),
    ),
    "What is expected of an answer": (
        f"with {MOST_MEMORY // 2**30} GB and {LONGEST_CHECK_S} s for each at most",
    ),
    "Workloads": (),
    "Prompts of your own": (
        f"at most {LARGEST_FILE_MB} MB and {MOST_LINES} lines of {MOST_SHAPES} shapes",
        f"a picture {LARGEST_IMAGE_MB} MB, all together {LARGEST_IN_ALL_MB} MB",
    ),
    "Budgets, recordings, the screen": (
        f"a slow terminal gets fewer, down to {pace._SLOWEST_HZ:g}",
    ),
    "Keys of the cockpit": (
        f"E2E for {ANSWER_TOKENS} tokens",
        *(f"Go back {step_s} s in the run" for step_s in (STEP_S, SMALL_STEP_S)),
        *(f"Go on by {step_s} s in the run" for step_s in (STEP_S, SMALL_STEP_S)),
    ),
    "Keys and other people": (
        f"in any part of {PIECE} characters or more",
        f"within {PIPE_SECONDS:g} s",
    ),
}


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_no_quantity_is_left_out() -> None:
    assert PAGE.loose(NUMBERS) == []


@pytest.mark.parametrize("name", TABLES)
def test_the_settings_stand_there_as_their_fields_declare_them(name: str) -> None:
    assert table(name) in PAGE.text, "python -m probes.config.reference prints it"


def test_the_keys_of_a_prompts_file_stand_there_as_they_are_read() -> None:
    assert prompt_line_table() in PAGE.text, "python -m probes.config.reference prints it"


def test_the_workloads_stand_there_as_they_are() -> None:
    rows = dict(re.findall(r"^\| `\"(\S+)\"` \| (.*) \|$", PAGE.section("Workloads"), re.MULTILINE))
    assert {*rows} == {*WORKLOADS}
    for name, workload in WORKLOADS.items():
        size, cap, how = rows[name].split(" | ")
        assert cap == f"{workload.max_tokens:,}"
        assert ("another each time" in how) == workload.is_fresh
        told = int(size.removeprefix("about ").replace(",", ""))
        assert probed_size(name) == pytest.approx(told, rel=0.1)


def probed_size(name: str) -> int:
    text = f'[routes.r]\nbase_url = "http://h"\nmodel = "m"\nworkload = "{name}"\n'
    return parse_config(text, Path("routes.toml"), {}).routes[0].input_tokens


def test_the_example_of_prompts_is_good(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE.section("Prompts of your own"), re.DOTALL)
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8\xff\xe0 a cat")
    file = tmp_path / "prompts.jsonl"
    file.write_text(example)
    assert [prompt.name for prompt in read_prompts(file)] == ["support", "lookup", "photo"]


def test_every_theme_of_ours_is_named() -> None:
    text = PAGE.section("Budgets, recordings, the screen")
    assert {name for name in OWN_THEMES if f"`{name}`" not in text.replace('"', "")} == set()


def test_every_provider_that_init_looks_for_is_named() -> None:
    text = PAGE.section("The file")
    prefixes = [provider.variable.removesuffix("API_KEY") for provider in PROVIDERS]
    assert [prefix for prefix in prefixes if f"`{prefix}" not in text] == []


def test_the_example_settings_are_good() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.section("The file"), re.DOTALL)
    assert tomllib.loads(example)
    config = parse_config(example, Path("routes.toml"), {"DEEPINFRA_API_KEY": "k" * 20})
    assert config.routes[0].goals.ttft_s == 0.8


def test_the_keys_of_the_cockpit_stand_there_as_its_table_has_them() -> None:
    assert page_table() in PAGE.text, "python -m tui.keys prints it"


def test_the_example_of_keys_is_good() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.section("Keys of the cockpit"), re.DOTALL)
    keys = {key.id: key for key in remapped(keys_in(example))}
    assert keys["more"].keys == "i"
    assert keys["undo"].keys == "u,ctrl+u"
    assert keys["panic"].keys == ""


def test_every_key_that_is_named_there_is_one() -> None:
    section = PAGE.section("Keys of the cockpit").partition("A key is a character")[2]
    named = quoted(section.partition(". ")[0])
    assert named
    assert [name for name in named if key_named(name) is None] == []


def keys_in(text: str) -> dict[str, tuple[str, ...]]:
    """Return [keys] of a file that has a route, too."""
    route = '[routes.a]\nbase_url = "https://h"\nmodel = "m"\n'
    return parse_config(route + text, Path("routes.toml"), {}).keys


def test_what_is_saved_is_told() -> None:
    text = PAGE.section("Saving from the cockpit")
    assert {f"`{name}`" for name in (*KNOBS, "theme", "window")} <= set(re.findall(r"`\w+`", text))
