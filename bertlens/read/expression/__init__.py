"""Expressions: what a person wrote about a model's outputs, evaluated step by step and traced to the cells it holds."""
