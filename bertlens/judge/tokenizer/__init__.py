"""Tokenizer: what a tokenizer's files and behaviour betray."""
