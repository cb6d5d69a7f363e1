"""Every error that poseparity raises on purpose.

PoseParityError
├── InputError            400  what the user sent cannot be used
│   ├── InputTooLarge     413  it is over a limit
│   └── TraceError        400  a file is no trace that this version reads
├── NotOffered            403  a setting keeps it from those who ask over the network
├── NoPersonFound         422  the video is fine, nobody is in it
├── TooManyMissingJoints  422  somebody is in it, too little of them was seen
├── OutputError           400  a file that was asked for cannot be written
├── UploadTooSlow         408  a request's body did not come in time
├── TookTooLong           422  the answer took longer than it may
├── CapacityError         429  every slot is busy and the queue is full
├── ClientLeft            499  nobody waits for the answer any more
├── NotReadyError         503  the models are not loaded yet, or nothing can be taken
├── NoRoomForUpload       507  the temporary folder is full
├── ComputeDied           500  the process that computes died twice with this request in hand
├── BundleError           500  the model bundle is damaged or inconsistent
│   └── ImportRefused     500  what another program wrote cannot become a bundle
├── EngineError           500  what estimates poses fails, is not here, or is not the one expected
├── FetchError            500  a file of a named bundle cannot be fetched, or is not the one expected
├── PinError              500  a numerical pin did not take effect
├── ProcessorError        500  the processor lacks instructions that the pins choose
└── SettingsError         500  a setting has an unusable value

Each carries a stable `code` for programs, one line that says what was found and what was expected, and a `fix`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .records import Skeleton


class PoseParityError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: what was found and what was expected, one line.
        fix: what the user can do about it, one line.
        code: stable identifier in kebab-case; the class's own when None.
        details: JSON-ready figures that belong to the error.
    """

    code = "error"
    http_status = 500

    def __init__(self, message: str, *, fix: str, code: str | None = None, details: dict | None = None) -> None:
        super().__init__(message)
        self.fix = fix
        self.code = code or type(self).code
        self.details = details or {}

    def __reduce__(self) -> tuple:
        # Errors go from the process that computes to the one that answers; their arguments come by keyword only.
        return _restored, (type(self), str(self), self.__dict__)

    def to_dict(self) -> dict:
        """The one JSON shape of every error: {"code", "message", "fix", "details"}."""
        return {"code": self.code, "message": str(self), "fix": self.fix, "details": self.details}


def _restored(kind: type[PoseParityError], message: str, attributes: dict) -> PoseParityError:
    error = kind.__new__(kind, message)
    error.__dict__.update(attributes)
    return error


class InputError(PoseParityError):
    code = "bad-input"
    http_status = 400


class InputTooLarge(InputError):
    code = "input-too-large"
    http_status = 413


class TraceError(InputError):
    code = "bad-trace"


class NotOffered(PoseParityError):
    code = "not-offered"
    http_status = 403


class NoPersonFound(PoseParityError):
    code = "no-person-found"
    http_status = 422


class TooManyMissingJoints(PoseParityError):
    """More joints are missing than the bundle allows; see stages/inspect.py.

    Args:
        skeleton: what was seen, before interpolation: worth a look most of all when the answer is refused.
    """

    code = "too-many-missing-joints"
    http_status = 422

    def __init__(self, message: str, *, fix: str, skeleton: Skeleton, details: dict) -> None:
        super().__init__(message, fix=fix, details=details)
        self.skeleton = skeleton


class OutputError(PoseParityError):
    code = "bad-output"
    http_status = 400


class UploadTooSlow(PoseParityError):
    code = "upload-too-slow"
    http_status = 408


class TookTooLong(PoseParityError):
    code = "took-too-long"
    http_status = 422


class CapacityError(PoseParityError):
    code = "queue-full"
    http_status = 429


class ClientLeft(PoseParityError):
    code = "client-left"
    http_status = 499  # as nginx logs it; nobody reads it


class NotReadyError(PoseParityError):
    code = "not-ready"
    http_status = 503


class ComputeDied(PoseParityError):
    code = "compute-died"


class NoRoomForUpload(PoseParityError):
    code = "no-room-for-upload"
    http_status = 507


class BundleError(PoseParityError):
    code = "bad-bundle"


class ImportRefused(BundleError):
    code = "import-refused"


class EngineError(PoseParityError):
    code = "pose-engine-failed"


class FetchError(PoseParityError):
    code = "fetch-failed"


class PinError(PoseParityError):
    code = "pin-not-in-effect"


class ProcessorError(PoseParityError):
    code = "unsupported-processor"


class SettingsError(PoseParityError):
    code = "bad-setting"
