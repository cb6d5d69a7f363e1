"""The command line; nothing else in the package prints."""
