"""The process that computes, and how another one keeps it running and gives it work."""
