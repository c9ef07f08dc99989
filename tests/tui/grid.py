"""What is left on a terminal after all that was written to it."""

import re

SEQUENCE = re.compile(r"\x1b\[([\d;]*)([A-Za-z])|(.)")


class Grid:
    """A terminal that knows what a brush uses: moves, colours and characters of one cell."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], tuple[str, frozenset[str]]] = {}
        self.x = self.y = 0
        self.style: frozenset[str] = frozenset()

    def write(self, data: str) -> None:
        """Do what `data` says."""
        for match in SEQUENCE.finditer(data):
            arguments, action, character = match.groups()
            if character:
                self.cells[self.y, self.x] = (character, self.style)
                self.x += 1
            elif action == "H":
                y, x = arguments.split(";")
                self.y, self.x = int(y) - 1, int(x) - 1
            elif action == "C":
                self.x += int(arguments)
            else:
                assert action == "m"
                self._colour(arguments)

    def row(self, y: int, width: int) -> list[tuple[str, frozenset[str]]]:
        """Return a row's characters, each with its colours and attributes."""
        return [self.cells[y, x] for x in range(width)]

    def _colour(self, arguments: str) -> None:
        codes = re.findall(r"[34]8;2;\d+;\d+;\d+|\d+", arguments)
        for code in codes or ["0"]:
            if code == "0":
                self.style = frozenset()
                continue
            kept = (old for old in self.style if plane(old) != plane(code))
            self.style = frozenset([*kept, code])


def plane(code: str) -> str:
    """Return what a code sets: the text's colour, the ground's, or an attribute of its own."""
    number = int(code.partition(";")[0])
    if number in range(30, 40) or number in range(90, 98):
        return "text"
    return "ground" if number in range(40, 50) or number in range(100, 108) else code
