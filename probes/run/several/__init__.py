"""Several engines as one: their events merged, their money and their concurrency divided."""
