"""Commands: one module each; every one is imported only as far as its arguments need."""
