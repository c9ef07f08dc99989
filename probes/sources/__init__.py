"""Who gives events: an engine in a process of its own, or in this one."""
