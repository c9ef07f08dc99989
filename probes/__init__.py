"""What is measured: the engine, its event stream and the board that folds it.

Nothing in this package imports a terminal library; everything it knows can be had without a screen.
"""

from typing import Final

__all__ = ["__version__"]

__version__: Final = "0.1.0"
