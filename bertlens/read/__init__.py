"""Read: tensors become something a person can read."""
