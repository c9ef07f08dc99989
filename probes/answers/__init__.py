"""Bytes of a server in, facts out: no sockets, no clocks of its own."""
