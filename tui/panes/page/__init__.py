"""The panes of the page of one route: what proves a verdict, each one a file."""
