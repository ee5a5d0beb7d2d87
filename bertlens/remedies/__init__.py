"""Remedies: findings that are not only explained but mended; one function each, in a registry."""
