"""Which servers answer on this machine."""
