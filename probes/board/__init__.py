"""Events in, every number on the screen out: a pure fold of the stream.

What an event changes: `board.py` (those of the run) and `route.py` (those of one route), with its
lanes, accounts, throttle log and header beside them. What is read: `figures.py` reads a route at
one stamp, `states.py` judges it, `frame.py` makes a frame of it, `summary.py` and `goals.py` the
end of a run. `views.py` is all that a pane may see.
"""

from probes.board.board import Board

__all__ = ["Board"]
