"""The locks of lockfiles/: reading them, fetching their wheels and checking those."""
