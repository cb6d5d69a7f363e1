"""Settings of the service, read from the environment: POSEPARITY_<NAME>."""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .errors import SettingsError

# The checkout, or /opt/poseparity in the image: both have service/, lockfiles/ and scripts/ below it.
ROOT = Path(__file__).resolve().parents[2]
PREFIX = "POSEPARITY_"


class Settings(BaseSettings):
    """Every setting, its default and its limits."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    bundle: Path = Field(ROOT / "service/bundles/demo", description="Folder of the model bundle.")
    bundle_signers: Path | None = Field(
        None, description="ssh-keygen's file of allowed signers, one of whom has to have signed the bundle."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(19031, ge=1, le=65535, description="TCP port to listen on.")
    lanes: int = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)),
        ge=1,
        description="Frames and clips that are computed at once, on one core each.",
    )
    frames_in_flight: int | None = Field(
        None, ge=1, description="Frames of one video that are computed at once or wait for it; twice lanes when unset."
    )
    requests_at_once: int = Field(
        4, ge=1, description="Requests that are computed at once; where several are, one of them is no video."
    )
    queue_limit: int = Field(16, ge=0, description="Requests that may wait to be computed before the answer is 429.")
    http_threads: int = Field(8, ge=2, description="HTTP threads beside those of requests that are computed or wait.")
    timeout_s: int = Field(600, ge=1, description="Seconds a worker may be silent before Gunicorn restarts it.")
    inference_timeout_s: float = Field(900, gt=0, description="Seconds that one answer may take to compute.")
    graceful_timeout_s: int = Field(60, ge=1, description="Seconds that requests get to finish when the service stops.")
    max_upload_bytes: int = Field(200 * 2**20, ge=1, description="Largest request body, in bytes.")
    max_held_bytes: int | None = Field(
        None, ge=1, description="Most bytes of uploads that are held at once; four times max_upload_bytes when unset."
    )
    stall_timeout_s: int = Field(30, ge=1, description="Seconds without a byte after which an upload is given up.")
    min_upload_rate: int = Field(
        50_000, ge=1, description="Bytes a second below which, on average, an upload is given up after stall_timeout_s."
    )
    max_frames: int = Field(9000, ge=2, description="Most frames of a video or rows of a skeleton CSV.")
    max_pixels: int = Field(4096 * 2304, ge=1, description="Most pixels of one video frame.")
    max_total_pixels: int = Field(10**10, ge=1, description="Most pixels of all frames of a video together.")
    decode_memory_bytes: int = Field(2**30, ge=2**29, description="Most bytes of memory that decoding may take.")
    kept_frame_bytes: int = Field(
        128 * 2**20, ge=0, description="Most bytes of frames that are kept of a video; a longer one is decoded again."
    )
    openpose_binary: Path | None = Field(None, description="OpenPose's executable, for a bundle that runs it.")
    openpose_models: Path | None = Field(None, description="OpenPose's folder models, for a bundle that runs OpenPose.")
    openpose_timeout_s: int = Field(600, ge=1, description="Seconds that OpenPose may take for 256 frames.")
    environment_route: bool | None = Field(
        None, description="Whether GET /v1/environment answers; when unset, where host is a loopback address."
    )
    forwarded_allow_ips: str = Field(
        "127.0.0.1,::1",
        description="Proxies, addresses and networks, whose X-Forwarded-For and -Proto are believed; *: all.",
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Least severe log level.")

    @property
    def tells_its_environment(self) -> bool:
        """Whether GET /v1/environment answers: packages, kernel and host name are not for everybody."""
        if self.environment_route is not None:
            return self.environment_route
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        trusted_networks(value)
        return value


def trusted_networks(value: str) -> list[IPv4Network | IPv6Network]:
    """The networks of `forwarded_allow_ips`.

    Raises:
        ValueError: a part of it is none.
    """
    if value.strip() == "*":
        return [ip_network("0.0.0.0/0"), ip_network("::/0")]
    return [ip_network(part.strip()) for part in value.split(",") if part.strip()]


def load_settings(**overrides) -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: a value is out of its limits, or a POSEPARITY_ variable is no setting.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | EXTERNAL
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        if unknown[0] in _REPLACED:
            raise SettingsError(
                f"{unknown[0]} is set but is no setting any more", fix=f"unset it: {_REPLACED[unknown[0]]}"
            )
        raise SettingsError(
            f"{unknown[0]} is set but is no setting",
            fix="unset it, or use one of " + ", ".join(sorted(known - EXTERNAL)),
        )
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise SettingsError(f"{name}={first['input']!r}: {first['msg']}", fix=f"correct or unset {name}") from error


# Variables with the prefix that others read: the tests, scripts/ and the command line's restart.
EXTERNAL = {PREFIX + name for name in ("REAL_DATA", "PYTHON", "RESTARTED", "TORCH_INDEX")}
# Settings of earlier versions, and what to use in their place.
_REPLACED = {PREFIX + "WORKERS": f"one process computes now, on {PREFIX}LANES cores, {PREFIX}REQUESTS_AT_ONCE at once"}
