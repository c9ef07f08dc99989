"""Each mutant meets the tests that hold its module, the nearest first."""

from pathlib import Path

import pytest

from mutation.run import ROOMS, ROOT, files_of, nearest_first


@pytest.mark.parametrize("name", ROOMS)
def test_every_test_that_is_named_after_a_module_of_a_room_is_the_rooms(name: str) -> None:
    """Tests are named after their modules: one that is new must not be forgotten here."""
    tests = files_of(ROOMS[name].tests)
    modules = [Path(path) for path in files_of(ROOMS[name].modules)]
    assert modules
    named = {
        str(path)
        for module in modules
        for name in ("test_{}.py", "test_cli_{}.py", "test_host_{}.py")
        for path in (ROOT / "tests" / module.relative_to(ROOT).parent / name.format(module.stem),)
        if path.is_file()
    }
    assert named - set(tests) == set()


@pytest.mark.parametrize("name", ROOMS)
def test_every_glob_of_a_room_finds_something(name: str) -> None:
    room = ROOMS[name]
    assert [glob for glob in (*room.modules, *room.tests) if not files_of([glob])] == []


def test_tests_named_after_the_module_come_first_and_none_is_left_out() -> None:
    tests = ["t/test_a.py", "t/test_b_more.py", "t/test_b.py"]
    assert nearest_first(Path("x/b.py"), tests) == [["t/test_b_more.py", "t/test_b.py"], tests[:1]]
    assert nearest_first(Path("x/c.py"), tests) == [tests]
