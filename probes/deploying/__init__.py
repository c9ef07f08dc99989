"""Files for whoever runs agents, the bus and Prometheus: data, which `llmtop deploy` prints."""
