"""The stages of `stages/base.py`, in their order, put together with their models."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from . import skeleton_csv, stop
from .bundle.bundle import Bundle
from .compute.lanes import InPlace
from .csv_input import skeleton_of_csv
from .engines.base import PoseEngine
from .engines.build import build_engine
from .engines.openpose_binary.program import Installation
from .errors import BundleError, PoseParityError
from .inputs import Input
from .missing import missing_joints
from .observe import Observe, Observed, unobserved
from .records import Box, CroppedVideo, Prediction, Size, Skeleton, Video, VideoFile
from .stages.base import CROP, DECODE, INSPECT, INTERPOLATE, NORMALISE, POSE, TRIM, Stage
from .stages.crop import Crop, TwoPass, WholeFrame
from .stages.decode import Decode
from .stages.detect import Detect
from .stages.inspect import Inspect
from .stages.interpolate import Interpolate
from .stages.normalise import Normalise
from .stages.pose import Pose
from .stages.recognise import Recognise
from .stages.trim import Trim


@dataclass(frozen=True)
class PipelineResult:
    """The answer, and what every stage made on the way to it.

    Attributes:
        bundle: identity of the bundle.
        skeleton: as estimated or as sent, before interpolation and trimming.
        kept: the skeleton after interpolation and trimming.
        records: stage name to the record that it returned.
        seconds: stage name to the seconds it took.
    """

    bundle: dict
    skeleton: Skeleton
    kept: Skeleton
    prediction: Prediction
    records: dict[str, object]
    seconds: dict[str, float]

    @property
    def video(self) -> Video | None:
        """The video; None when a CSV was sent."""
        return self.records.get(DECODE.name)

    @property
    def filled(self) -> Skeleton:
        """Every frame, after interpolation and before trimming."""
        return self.records[INTERPOLATE.name]

    @cached_property
    def csv(self) -> bytes:
        return skeleton_csv.write(self.skeleton.keypoints)

    def to_dict(self) -> dict:
        """The answer as JSON-ready values; each score is exactly the float32 that was computed."""
        kept = self.kept
        frames = {"total": self.skeleton.frame_count, "kept": kept.frame_count, "first_kept": kept.first_frame}
        cropped = self.records.get(CROP.name)
        if isinstance(cropped, CroppedVideo) and cropped.frames_sampled is not None:
            frames |= {"sampled": cropped.frames_sampled, "with_person": cropped.frames_with_person}
        if self.skeleton.several_persons is not None:
            frames |= {"several_persons": self.skeleton.several_persons}
        return {
            "bundle": self.bundle,
            "prediction": self.prediction.to_dict(),
            "frames": frames,
            "persons": {"used": 1, "model": self.records[NORMALISE.name].inputs.shape[1]},
            "frame_size": _plain(self.skeleton.frame_size),
            "crop": _plain(self.skeleton.crop),
            "missing_joints": missing_joints(self.skeleton),
            "warnings": self.warnings(),
            "skeleton_csv_sha256": hashlib.sha256(self.csv).hexdigest(),
            "seconds": {stage: round(value, 4) for stage, value in self.seconds.items()},
        }

    def warnings(self) -> list[dict]:
        """What may make the scores wrong, JSON-ready."""
        return [asdict(notice) for notice in self.kept.notices]


class Pipeline:
    """The stages with their models loaded, for any number of inferences at once, each in a thread of its own.

    Args:
        bundle: the models and every parameter.
        max_frames, max_pixels, max_total_pixels: inputs over these limits are refused.
        decode_memory_bytes: most memory that decoding a video may take; None for any.
        kept_frame_bytes: most memory that a video's decoded frames are kept in; of a video with more none are, and each
            stage that needs frames decodes it again.
        openpose: OpenPose on this machine, for a bundle whose pose engine is its executable.
        lanes: compute frames and clips, for all inferences of this process; the caller's own thread when None.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        max_frames: int,
        max_pixels: int,
        max_total_pixels: int | None = None,
        decode_memory_bytes: int | None = None,
        kept_frame_bytes: int = 0,
        openpose: Installation | None = None,
        lanes: InPlace | None = None,
    ) -> None:
        self.bundle = bundle
        self._max_frames = max_frames
        lanes = lanes or InPlace()
        engine = build_engine(bundle, openpose or Installation(), lanes)
        self.stages: tuple[Stage, ...] = (
            Decode(
                max_frames=max_frames,
                max_pixels=max_pixels,
                max_total_pixels=max_total_pixels,
                memory_bytes=decode_memory_bytes,
                kept_bytes=kept_frame_bytes,
                min_share=bundle.quality.min_decoded_share,
            ),
            *_crop_stages(bundle, engine, lanes),
            Pose(bundle, engine),
            Inspect(bundle),
            Interpolate(bundle),
            Trim(bundle),
            Normalise(bundle),
            Recognise(bundle, lanes),
        )

    def run(self, given: Input, *, observe: Observe = unobserved) -> PipelineResult:
        """Every stage; of a skeleton CSV those that follow the pose.

        Args:
            observe: is shown what passes through the stages, see observe.py; a value is named "STAGE.NAME".

        Raises:
            InputError: see csv_input.py, stages/decode.py and stages/normalise.py.
            NoPersonFound, TooManyMissingJoints: see the stages.
        """
        if given.kind == "video":
            return self._run(VideoFile(given.source), first=DECODE.name, observe=observe)
        skeleton = skeleton_of_csv(
            given.content(),
            self.bundle,
            max_frames=self._max_frames,
            frame_size=given.frame_size,
            crop=given.crop,
            assume_crop=given.assume_crop,
        )
        return self._run(skeleton, first=INSPECT.name, observe=observe)

    def run_video(self, path: Path, *, observe: Observe = unobserved) -> PipelineResult:
        """`run` for whoever knows that it is a video."""
        return self.run(Input(Path(path), "video"), observe=observe)

    def run_csv(
        self,
        content: bytes,
        *,
        frame_size: Size | None = None,
        crop: Box | None = None,
        assume_crop: bool = False,
        observe: Observe = unobserved,
    ) -> PipelineResult:
        """`run` for whoever has a skeleton CSV's bytes."""
        given = Input(content, "csv", frame_size=frame_size, crop=crop, assume_crop=assume_crop)
        return self.run(given, observe=observe)

    def warm_up(self) -> None:
        """Answer the bundle's demo clip once, so that the first request does not pay for lazy initialisation.

        Raises:
            BundleError: the clip is refused, or gets another label than the bundle says.
        """
        demo = self.bundle.demo
        try:
            found = self.run_video(self.bundle.folder / demo.clip).prediction.label
        except (PoseParityError, OSError) as error:
            raise self._demo_failed(str(error)) from error
        if found != demo.label:
            raise self._demo_failed(f"it is recognised as {found!r}, expected {demo.label!r}")

    def _demo_failed(self, why: str) -> BundleError:
        return BundleError(
            f"bundle {self.bundle.name}: its own clip {self.bundle.demo.clip} failed: {why}",
            fix="restore the bundle from where it came from; its weights or its parameters do not belong together",
        )

    def _run(self, record, *, first: str, observe: Observe = unobserved) -> PipelineResult:
        start = record if isinstance(record, Skeleton) else None
        records, seconds = {}, {}
        names = [stage.name for stage in self.stages]
        for stage in self.stages[names.index(first) :]:
            began = time.perf_counter()
            try:
                stop.check(stage=stage.name, frame=None)
                record = _call(stage, record, observe)
            except PoseParityError as error:
                error.details.setdefault("stage", stage.name)
                raise
            records[stage.name], seconds[stage.name] = record, time.perf_counter() - began
        return PipelineResult(
            bundle=self.bundle.identity(),
            # That of a CSV is what was sent: no stage made it.
            skeleton=start or records[POSE.name],
            kept=records[TRIM.name],
            prediction=record,
            records=records,
            seconds=seconds,
        )


def _crop_stages(bundle: Bundle, engine: PoseEngine, lanes: InPlace) -> tuple[Stage, ...]:
    """From the video to its crop; the two strategies without a detector load none."""
    if bundle.crop.strategy == "none":
        return (WholeFrame(),)
    if bundle.crop.strategy == "two_pass":
        return (TwoPass(bundle, engine),)
    return (Detect(bundle, lanes), Crop(bundle))


def _call(stage: Stage, record, observe: Observe):
    # Where nobody looks, a stage is spared the work of showing.
    if observe is unobserved or not isinstance(stage, Observed):
        return stage(record)
    return stage(record, lambda name, value: observe(f"{stage.name}.{name}", value))


def _plain(value: Size | Box | None) -> dict | None:
    return None if value is None else asdict(value)
