"""The routes of the service, a module each."""
