"""What differs between two computations, and what explains it."""
