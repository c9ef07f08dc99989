"""The panes of the home screen: one widget a file, pure formatting beside it."""
