"""Show: a verdict becomes a table, a picture, a script."""
