"""Events in, every number on the screen out: a pure fold of the stream."""

from probes.board.board import Board

__all__ = ["Board"]
