"""The bus that joins places: names, messages, and the connection to it."""
