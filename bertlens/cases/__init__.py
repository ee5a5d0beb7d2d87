"""Cases: faults that people reported, made on purpose with a checkpoint and texts of one's own, and mended again."""
