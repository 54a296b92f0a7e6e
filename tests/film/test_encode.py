"""Segments and their joining."""

import json

import av
import numpy as np
import pytest

from spineviz.film.encode import decode, encode_segment, join_segments, read_metadata
from spineviz.film.sidecar import digest_of

SIZE, RATE = (128, 72), 15


def moving(count, start=0):
    """A bright bar that wanders."""
    for i in range(start, start + count):
        frame = np.full((72, 128, 3), 40, np.uint8)
        frame[:, (3 * i) % 120 : (3 * i) % 120 + 8] = (200, 120, 60)
        yield frame


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    folder = tmp_path_factory.mktemp("segments")
    counts = [7, 30, 12]
    paths = []
    for i, count in enumerate(counts):
        paths.append(folder / f"{i}.mp4")
        assert encode_segment(paths[-1], moving(count, 10 * i), SIZE, RATE, count) == count
    out = folder / "out.mp4"
    tags = {"title": "Vertebroplasty · L1", "comment": json.dumps({"digest": "abc", "text": "ä" * 3000})}
    join_segments(out, paths, counts, tags)
    return out, paths, counts, tags


def test_joining_is_bit_exact(joined):
    out, paths, counts, _ = joined
    whole = decode(out)
    parts = [frame for path in paths for frame in decode(path)]
    assert len(whole) == len(parts) == sum(counts)
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_frames_follow_one_another_at_the_film_s_rate(joined):
    out, _, counts, _ = joined
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        times = sorted(float(p.pts * stream.time_base) for p in container.demux(stream) if p.pts is not None)
        assert stream.average_rate == RATE
        assert float(stream.duration * stream.time_base) == pytest.approx(sum(counts) / RATE, abs=1e-3)
    assert times == pytest.approx([i / RATE for i in range(sum(counts))], abs=1e-6)


def test_each_segment_is_one_closed_group(joined):
    out, _, counts, _ = joined
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        keys = [round(float(p.pts * stream.time_base) * RATE) for p in container.demux(stream) if p.is_keyframe]
    assert keys == [0, counts[0], counts[0] + counts[1]]


def test_the_index_stands_in_front(joined):
    data = joined[0].read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_tags_come_back_whole(joined):
    out, _, _, tags = joined
    found = read_metadata(out)
    assert found["title"] == tags["title"]
    assert found["comment"] == tags["comment"]
    assert digest_of(found) == "abc"


def test_colours_are_told_and_kept(tmp_path):
    frame = np.empty((72, 128, 3), np.uint8)
    frame[:, :64], frame[:, 64:] = (57, 146, 130), (174, 94, 240)
    encode_segment(tmp_path / "c.mp4", [frame] * 4, SIZE, RATE, 4)
    with av.open(str(tmp_path / "c.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_range, context.pix_fmt) == (1, 1, "yuv420p")
        picture = next(container.decode(video=0)).reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
    assert np.abs(picture[20:50, 10:50].astype(int) - (57, 146, 130)).max() <= 4
    assert np.abs(picture[20:50, 78:118].astype(int) - (174, 94, 240)).max() <= 4


def test_equal_frames_give_equal_bytes(tmp_path):
    for name in "ab":
        encode_segment(tmp_path / f"{name}.mp4", moving(20), SIZE, RATE, 20)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_what_is_no_video_has_no_tags(tmp_path):
    path = tmp_path / "x.mp4"
    path.write_text("not a film")
    assert read_metadata(path) == {}
    assert digest_of({"comment": "[" * 5000}) is None
