"""The one exception of the build programs."""


class BuildError(Exception):
    """Something the user can fix: `str(error)` is one line on what was found, `fix` is one line on what to do."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix
