"""What `images/build`, `scripts/wheels` and `scripts/lock` share. Standard library only: it runs on a bare machine."""
