"""Bytes of a server in, an answer out: no sockets, no clocks of its own."""
