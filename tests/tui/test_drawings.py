"""Every pane draws at every size what it drew when somebody last looked."""

import pytest
from drawn import DRAWINGS, PANES, drawing


@pytest.mark.parametrize("pane", PANES)
def test_a_pane_draws_what_was_looked_at(pane: str) -> None:
    kept = (DRAWINGS / f"{pane}.txt").read_text(encoding="utf-8")
    now = drawing(pane)
    changed = [line for line in now.splitlines() if line not in kept.splitlines()]
    assert now == kept, "run python tests/tui/drawn.py and look: " + "\n".join(changed[:10])
