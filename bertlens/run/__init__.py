"""Run: a text becomes tensors."""
