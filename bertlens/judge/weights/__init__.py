"""Weights: what the tensors of a file betray, by their keys, shapes and values."""
