"""What computes a model's items."""
