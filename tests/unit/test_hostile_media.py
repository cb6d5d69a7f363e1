"""Videos from elsewhere: whatever is in them, an answer within bounds, and no wrong one without a word."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from poseparity.errors import InputError, InputTooLarge, PoseParityError
from poseparity.pipeline import Pipeline
from poseparity.records import VideoFile
from poseparity.stages.decode import Decode, frames
from tests import hostile_media
from tests.hostile_media import FRAMES, KINDS, NOTICES_DAMAGE

MEMORY = 2**30
decode = Decode(max_frames=2000, max_pixels=1920 * 1080, max_total_pixels=10**9, memory_bytes=MEMORY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def videos(folder) -> dict[str, bytes]:
    return hostile_media.whole(folder)


@pytest.fixture
def decoded(tmp_path):
    def decoded(content: bytes, stage: Decode = decode):
        path = tmp_path / "clip"
        path.write_bytes(content)
        return stage(VideoFile(path))

    return decoded


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_video_is_taken_without_a_word(decoded, videos, kind):
    video = decoded(videos[kind])
    assert video.frame_count == FRAMES and video.notices == ()


@pytest.mark.parametrize("share", [0.3, 0.5, 0.75])
@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_video_is_refused(decoded, videos, kind, share):
    with pytest.raises(InputError) as error:
        decoded(hostile_media.cut(videos[kind], share))
    assert error.value.code in ("truncated-video", "unreadable-video", "damaged-video")


@pytest.mark.parametrize("kind", NOTICES_DAMAGE)
def test_a_damaged_video_is_refused_or_told_of(decoded, videos, kind):
    """20 bytes of 48 frames."""
    try:
        video = decoded(hostile_media.corrupted(videos[kind], 5, 20, first=0.15))
    except InputError as error:
        assert error.code in ("truncated-video", "damaged-video", "unreadable-video", "size-changes")
    else:
        assert {notice.code for notice in video.notices} & {"damaged-video", "truncated-video"}


def test_a_little_damage_is_told_and_a_limit_of_the_share_refuses_it(decoded, videos):
    content = hostile_media.corrupted(videos["mkv"], 1, 1, first=0.5)
    (notice,) = decoded(content).notices
    assert notice.code == "damaged-video" and f"1 of {FRAMES} frames" in notice.message
    content = hostile_media.corrupted(videos["mkv"], 1, 6, first=0.5)
    assert decoded(content, Decode(max_frames=99, max_pixels=10**6, min_share=0.5)).notices
    with pytest.raises(InputError, match="at least 95% have to be there and sound"):
        decoded(content)


def test_a_bundle_says_how_much_has_to_be_there(demo_bundle):
    assert demo_bundle.quality.min_decoded_share == 0.95, "bundles from before the key load"
    quality = demo_bundle.quality.model_copy(update={"min_decoded_share": 0.5})
    pipeline = Pipeline(demo_bundle.model_copy(update={"quality": quality}), max_frames=9, max_pixels=9)
    assert pipeline.stages[0]._min_share == 0.5


@pytest.mark.slow
def test_what_a_video_lacks_is_said_with_the_answer(pipeline, demo_clip, tmp_path):
    damaged = tmp_path / "clip.mp4"
    damaged.write_bytes(
        hostile_media.corrupted(demo_clip.read_bytes()[:-20_000], 3, 3, 0.5) + demo_clip.read_bytes()[-20_000:]
    )
    result = pipeline.run_video(damaged)
    assert [warning["code"] for warning in result.to_dict()["warnings"]][:1] == ["damaged-video"]


def test_an_avi_whose_clock_runs_faster_than_its_frames_is_whole(decoded, videos):
    """As `ffmpeg -c copy` writes it: a clock of 50 ticks a second, at every second of which an empty chunk stands."""
    fast = hostile_media.with_a_faster_clock(videos["avi"], 2)
    assert decoded(fast).frame_count == FRAMES
    with pytest.raises(InputError, match="truncated"):
        decoded(hostile_media.cut(fast, 0.5))


@pytest.mark.parametrize("kind", ["ts", "mpg", "mpg2", "flv"])
def test_a_stream_that_changes_its_size_is_refused(decoded, folder, kind):
    with pytest.raises(InputError) as error:
        decoded(hostile_media.size_changing(folder)[f"size-{kind}"])
    assert error.value.code in ("size-changes", "damaged-video", "truncated-video")


def test_all_pixels_together_are_limited(decoded, videos):
    few = Decode(max_frames=2000, max_pixels=10**6, max_total_pixels=10 * 160 * 128)
    for kind, counted in (("avi", 11), ("mp4", FRAMES)):  # an MP4 says how many it has
        with pytest.raises(InputTooLarge, match=f"^{counted} frames of the video have more than 204800") as error:
            decoded(videos[kind], few)
        assert error.value.code == "too-many-pixels" and error.value.http_status == 413


@pytest.mark.slow
def test_the_memory_of_decoding_is_limited(decoded, folder):
    content = hostile_media.write(folder / "large.avi", "FFV1", (4096, 2304), 3).read_bytes()
    stage = Decode(max_frames=2000, max_pixels=10**8, memory_bytes=300 * 2**20)
    with pytest.raises(InputTooLarge) as error:
        decoded(content, stage)
    assert error.value.code == "too-much-memory"
    assert decoded(content, Decode(max_frames=2000, max_pixels=10**8, memory_bytes=MEMORY)).frame_count == 3


@pytest.mark.parametrize("share", [0.3, 0.5])
@pytest.mark.parametrize("kind, packet", [("ts", 188), ("mpg", 2048), ("mpg2", 2048)])
def test_a_video_that_is_cut_between_two_packets_is_refused_where_a_frame_is_cut(decoded, videos, kind, packet, share):
    content = videos[kind]
    with pytest.raises(InputError) as error:
        decoded(content[: int(share * len(content)) // packet * packet])
    assert error.value.code in ("truncated-video", "damaged-video")


def most_memory() -> int:
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def outcome(path: Path) -> tuple[float, int | str]:
    """Seconds, and the status of the refusal, or that of an answer."""
    began, status = time.monotonic(), 200
    try:
        video = decode(VideoFile(path))
        for _, frame in frames(video):
            assert frame.shape[:2] == (video.size.height, video.size.width)
    except PoseParityError as error:
        status = error.http_status
    return time.monotonic() - began, status


@pytest.mark.slow
def test_no_hostile_video_fails_hangs_or_takes_much(folder, figures):
    files = []
    for name, content in hostile_media.hostile(folder):
        files.append(folder / f"hostile-{name}")
        files[-1].write_bytes(content)
    Path("/proc/self/clear_refs").write_text("5")  # forget the most memory that this process had
    before = most_memory()
    with ThreadPoolExecutor(2) as workers:
        outcomes = dict(zip(files, workers.map(outcome, files), strict=True))
    statuses = [status for _, status in outcomes.values()]
    assert len(files) >= 250
    assert set(statuses) <= {200, 400, 413}
    slowest = max(seconds for seconds, _ in outcomes.values())
    more = most_memory() - before  # of the others, the limit is on their addresses
    figures.append(
        f"{len(files)} hostile videos: {statuses.count(200)} taken, the slowest {slowest:.1f} s, "
        f"{more / 2**20:.0f} MiB of this process"
    )
    assert slowest < 10
    assert more < MEMORY
