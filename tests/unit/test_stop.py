"""Ending work early: why it ends, how soon, and what it does to other work."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from poseparity import stop
from poseparity.errors import ClientLeft, PoseParityError, TookTooLong
from poseparity.records import VideoFile
from poseparity.stages.decode import Decode, frames


def left() -> ClientLeft:
    return ClientLeft("gone", fix="stay")


def test_outside_of_any_work_nothing_is_ended():
    stop.check()


def test_the_first_reason_stays():
    work, first = stop.Stop(), left()
    work.because(first)
    work.because(left())
    with work.watched(), pytest.raises(ClientLeft) as error:
        stop.check()
    assert error.value is first


def test_the_clock_starts_with_the_work_and_not_before():
    work = stop.Stop(0.2)
    time.sleep(0.3)
    with work.watched():
        stop.check()
        time.sleep(0.3)
        with pytest.raises(TookTooLong, match=r"not computed within 0\.2 seconds") as error:
            stop.check()
    assert error.value.details == {"max_seconds": 0.2} and "POSEPARITY_INFERENCE_TIMEOUT_S" in error.value.fix
    stop.check()


def test_another_threads_work_goes_on():
    work, outcome = stop.Stop(), []
    work.because(left())
    with work.watched():
        other = threading.Thread(target=lambda: outcome.append(stop.check()))
        other.start()
        other.join()
    assert outcome == [None]


def test_streaming_asks_between_two_frames(demo_clip):
    video = Decode(max_frames=9000, max_pixels=10**7)(VideoFile(demo_clip))
    work, seen = stop.Stop(), 0
    with work.watched(), pytest.raises(ClientLeft):
        for _ in frames(video):
            seen += 1
            work.because(left())
    assert seen == 1


@pytest.mark.parametrize("stage", ["detect", "pose"])
def test_a_stage_ends_with_the_work_and_the_next_inference_has_the_same_bits(pipeline, demo_clip, demo_result, stage):
    work = stop.Stop()
    entered = {"detect": "decode.frame", "pose": "pose.persons"}[stage]

    def leave(name: str, _value) -> None:
        if name == entered:
            work.because(left())

    with work.watched(), pytest.raises(ClientLeft) as error:
        pipeline.run_video(demo_clip, observe=leave)
    assert error.value.details["stage"] in (stage, "decode")
    again = pipeline.run_csv(demo_result.csv, frame_size=demo_result.skeleton.frame_size)
    assert again.prediction.scores.tobytes() == demo_result.prediction.scores.tobytes()


def test_another_program_is_not_waited_for(tmp_path):
    work = stop.Stop(0.3)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        began = time.monotonic()
        with work.watched(), pytest.raises(PoseParityError):
            stop.wait(process)
        assert time.monotonic() - began < 1.3
        with pytest.raises(subprocess.TimeoutExpired):
            stop.wait(process, 0.2)
        process.kill()


def test_another_programs_status_is_told():
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as process:
        assert stop.wait(process, 60) == 3
