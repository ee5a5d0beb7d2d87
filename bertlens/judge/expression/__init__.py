"""Expressions judged: what is wrong with what a person wrote, and the expression that is right."""
