"""What every room needs and nothing of llmtop's trade: clocks, files, processes, words."""
