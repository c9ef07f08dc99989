"""Where the events of a run go beside the screen and the recording."""
