"""ex: pool, look-aside lists, executive locks, work items."""
