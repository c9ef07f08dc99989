"""An incident gone back to, tested and handed over, in a real terminal; and whoever gets it.

What is waited for is what the screen shows. Nothing here depends on how fast the machine is: a slow
one only takes longer, up to a patience that is far beyond what it needs.
"""

import re
from pathlib import Path

from story import VERDICT, demo, llmtop, row

MARK = "told the provider"


def test_back_in_time_a_mark_a_comparison_a_bundle_and_the_replay_of_it(tmp_path: Path) -> None:
    with demo(tmp_path) as terminal:
        terminal.wait_for("● LIVE")
        terminal.wait_for(VERDICT)
        terminal.wait_for(row("bravo", "throttled"))

        # The screen stands still while one reads, and goes on.
        terminal.press("space")
        terminal.wait_for("FROZEN")
        terminal.press("space")
        terminal.wait_for("● LIVE")

        # Back to before it: no verdict was there, and the screen says that this is not now.
        terminal.press("[")
        terminal.wait_for(re.compile(r"◀ .* ago"))
        terminal.press("left", "left")
        terminal.wait_for(row("bravo", "ok"))
        terminal.wait_for(lambda shown: shown.row_of(VERDICT) < 0)
        terminal.press("+")
        terminal.wait_for("a knob would turn now")  # and turns nothing that is over

        # A word for those who come later: it stands where one does.
        terminal.press("m")
        terminal.wait_for("mark ")
        terminal.press(MARK, "enter")
        terminal.wait_for("A mark is put at")
        terminal.wait_for(re.compile(rf"\d\d:\d\d:\d\d ▾ .* {MARK} · put \S+ later"))
        terminal.press("F")
        terminal.wait_for("● LIVE")
        terminal.wait_for(VERDICT)

        # Them or us? The cost is told first, and nothing is asked before it is agreed to.
        # The key for a knob has left the cursor where it was: it is given back to the worst.
        terminal.press("g", "t", "j", "t", "C")
        terminal.wait_for(re.compile(r"up to [\d,]+ pairs.*\? y n"))
        terminal.press("y")
        terminal.wait_for("routes ▸ comparison")
        terminal.wait_for(re.compile(r"\b[1-9]\d* of at most \d+ pairs"))
        terminal.press("x")
        terminal.wait_for(re.compile(r"stopped"))
        terminal.press("escape")
        terminal.wait_for("¹routes")

        # What is handed over stands in a folder.
        terminal.press("e")
        terminal.wait_for("Bundle written")
        terminal.press("q")
        assert terminal.ended() == 0
        assert terminal.is_given_back()
        assert "Traceback" not in terminal.text

    (bundle,) = (tmp_path / "llmtop" / "bundles").iterdir()
    page = (bundle / "report.html").read_text(encoding="utf-8")
    assert "bravo" in page
    assert MARK in page

    # Whoever gets it sees the same, on a machine that knows nothing of the run.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with llmtop(elsewhere, "replay", str(bundle / "recording.jsonl")) as terminal:
        terminal.wait_for("REPLAY")
        terminal.press("F")
        terminal.wait_for("REPLAY END")
        terminal.wait_for(VERDICT)
        terminal.wait_for(row("bravo", "throttled"))
        terminal.press("6", "6")
        terminal.wait_for(re.compile(rf"\d\d:\d\d:\d\d .*{MARK} · put \S+ later"))
        terminal.press("q")
        assert terminal.ended() == 0
        assert terminal.is_given_back()
        assert "Traceback" not in terminal.text
