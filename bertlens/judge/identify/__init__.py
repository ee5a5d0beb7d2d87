"""Identify: which recipe made given vectors; the parts of the search, in the order in which they come."""
