"""The engine: routes, probes and attempts, and what becomes of them."""
