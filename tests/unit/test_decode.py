"""Decoding: what is streamed, and what FFmpeg must not be talked into."""

from __future__ import annotations

import numpy as np
import pytest

from poseparity.errors import InputError, InputTooLarge
from poseparity.records import Video, VideoFile
from poseparity.stages.decode import Decode, frames


def decode(max_frames: int = 9000, max_pixels: int = 10**7, **limits: int) -> Decode:
    return Decode(max_frames=max_frames, max_pixels=max_pixels, **limits)


def test_every_frame_is_streamed_and_wanted_ones_are_the_same(demo_clip):
    video = decode()(VideoFile(demo_clip))
    everything = dict(frames(video))
    assert sorted(everything) == list(range(video.frame_count))
    for index, frame in frames(video, wanted=frozenset({3, 50})):
        assert (frame == everything[index]).all()
    assert everything[0].shape == (video.size.height, video.size.width, 3)


def test_frames_that_are_kept_are_those_that_would_be_streamed(demo_clip, tmp_path):
    streamed = decode()(VideoFile(demo_clip))
    size = streamed.frame_count * 480 * 360 * 3
    path = tmp_path / "clip.mp4"
    path.write_bytes(demo_clip.read_bytes())
    kept = decode(kept_bytes=size)(VideoFile(path))
    path.unlink()  # nobody decodes it again
    assert kept == Video(path, streamed.size, streamed.frames_per_second, streamed.frame_count)
    for (index, frame), (other, expected) in zip(frames(kept), frames(streamed), strict=True):
        assert index == other and np.array_equal(frame, expected)
    assert [index for index, _ in frames(kept, wanted=frozenset({3, 50}))] == [3, 50]


def test_a_video_that_is_longer_than_the_room_takes_no_memory(demo_clip):
    """And the limit on memory is one on decoding, not on what is kept."""
    streamed = decode()(VideoFile(demo_clip))
    almost = streamed.frame_count * 480 * 360 * 3 - 1
    video = decode(kept_bytes=almost)(VideoFile(demo_clip))
    assert video.kept is None and len(list(frames(video))) == streamed.frame_count
    assert decode(kept_bytes=almost + 1, memory_bytes=2**29)(VideoFile(demo_clip)).kept is not None
    assert decode(kept_bytes=2**34, memory_bytes=2**29)(VideoFile(demo_clip)).kept is not None


def test_a_playlist_cannot_name_another_file(demo_clip, tmp_path):
    """FFmpeg would follow it: any file of the machine could be read through an upload."""
    playlist = tmp_path / "clip.mp4"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{demo_clip}\n#EXT-X-ENDLIST\n\0")
    with pytest.raises(InputError, match="not a video that can be decoded"):
        decode()(VideoFile(playlist))


def test_limits_are_told_with_what_was_found(demo_clip):
    with pytest.raises(InputTooLarge, match="more than 10 frames"):
        decode(max_frames=10)(VideoFile(demo_clip))
    with pytest.raises(InputTooLarge, match="480x360"):
        decode(max_pixels=1000)(VideoFile(demo_clip))


@pytest.mark.parametrize("content, code", [(b"", "empty-file"), (b"\0\1\2" * 999, "unreadable-video")])
def test_what_is_no_video_is_refused(tmp_path, content, code):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        decode()(VideoFile(path))
    assert error.value.code == code
