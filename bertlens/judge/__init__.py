"""Judge: a reading becomes a verdict with its evidence."""
