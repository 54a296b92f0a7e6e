"""Segments and their joining, in every format."""

import errno
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import wave
from itertools import pairwise, repeat

import av
import numpy as np
import pytest
from av.stream import Disposition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from spineviz.data.errors import RequestError
from spineviz.film import encode
from spineviz.film.encode import (
    check_segment,
    decode,
    encode_segment,
    join_segments,
    read_metadata,
)
from spineviz.film.formats import FORMATS
from spineviz.film.gif import MOST_STEP_BYTES, check_gif_step, check_gif_steps, frame_bytes
from spineviz.film.pieces import ASPECTS, QUALITIES
from spineviz.film.rendition import Rendition
from spineviz.film.sidecar import digest_of

SIZE, RATE = (128, 72), 10
COUNTS = [7, 1, 30, 2, 12]
TAGS = {"title": "Vertebroplasty · L1", "comment": json.dumps({"digest": "abc", "text": "ä" * 60_000}), "genre": "x"}
CHAPTERS = [(0.0, 2.4, "Needle & way"), (2.4, 5.2, "Zément")]
CAPTIONS = [(0.2, 1.0, "The needle\nenters <here> & stops"), (1.0, 1.4, "Ärzte"), (2.0, 9.0, "Last")]
ALL = {"chapters": CHAPTERS, "captions": CAPTIONS, "language": "en"}
CODECS = {
    "mp4": ("h264", "yuv420p"),
    "webm": ("vp9", "yuv420p"),
    "mov": ("prores", "yuva444p12le"),
    "gif": ("gif", "bgra"),
    "png": ("png", "rgb24"),
}
FILMS = ["mp4", "webm", "mov"]
every_format = pytest.mark.parametrize("name", FORMATS)
every_film = pytest.mark.parametrize("name", FILMS)


def moving(count, start=0, alpha=False, size=SIZE):
    """A bright bar that wanders over a ground that is half clear."""
    for i in range(start, start + count):
        frame = np.full((size[1], size[0], 4), (40, 60, 80, 255), np.uint8)
        frame[: size[1] // 2, :, 3] = 100
        frame[:, (3 * i) % 120 : (3 * i) % 120 + 8] = (200, 120, 60, 255)
        yield frame if alpha else frame[:, :, :3]


def encoded(path, count, name, start=0, size=SIZE, rate=RATE):
    fmt = FORMATS[name]
    assert encode_segment(path, moving(count, start, fmt.alpha, size), fmt, size, rate, count) == count
    return path


def made(folder, name, counts, size=SIZE, rate=RATE, **extra):
    """Segments of `counts` frames, and what they are joined to."""
    fmt = FORMATS[name]
    parts = [
        encoded(folder / f"{name}-{i}{fmt.segment_suffix}", count, name, sum(counts[:i]), size, rate)
        for i, count in enumerate(counts)
    ]
    out = folder / f"film{fmt.suffix}"
    join_segments(out, parts, counts, fmt, TAGS, **extra)
    return out, parts


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "words.wav"
    tone = np.round(9000 * np.sin(np.arange(22050 * 3) * 2 * np.pi * 440 / 22050)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22050)
        file.writeframes(tone.tobytes())
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory, sound):
    """name -> the joined film with all that it can hold, and its segments."""
    return {name: made(tmp_path_factory.mktemp(name), name, COUNTS, **ALL, sound=sound) for name in FORMATS}


def pictures(path):
    """Every frame as it was stored, without a change of colours."""
    with av.open(str(path)) as container:
        return [np.concatenate([np.array(p, copy=True) for p in frame.planes]) for frame in container.decode(video=0)]


# --- what is written ---


@every_format
@pytest.mark.parametrize("counts", [[8, 4], [1]])
def test_a_film_is_what_its_format_says(tmp_path, name, counts):
    probe(tmp_path, name, counts, SIZE, RATE)


@every_format
@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("aspect", ASPECTS)
def test_a_film_is_what_its_rendition_says(tmp_path, name, quality, aspect):
    """From 480p to 4K: the shorter side is the quality's height, and a GIF is 480 wide."""
    size = Rendition(quality, aspect, name).size
    across, down = map(int, aspect.split(":"))
    assert size.width_px / size.height_px == pytest.approx(across / down, rel=0.003)
    assert name == "gif" or min(size.size_px) == QUALITIES[quality].height_px
    probe(tmp_path, name, [1, 2], size.size_px, size.frames_per_s)


def probe(tmp_path, name, counts, size, rate):
    """Make a film and compare what stands in it with what was asked for."""
    out, _ = made(tmp_path, name, counts, size, rate)
    if name == "png":
        files = sorted(out.iterdir())
        assert [file.name for file in files] == [f"{i:05d}.png" for i in range(1, sum(counts) + 1)]
        found = [Image.open(file) for file in files]
        assert all((p.format, p.mode, p.size) == ("PNG", "RGB", size) for p in found)
        assert all(np.array_equal(a, b) for a, b in zip(found, moving(sum(counts), size=size), strict=True))
        return
    with av.open(str(out)) as container:
        (stream,) = container.streams
        frames = list(container.decode(stream))
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == CODECS[name]
        assert (stream.codec_context.width, stream.codec_context.height) == size
        assert {(frame.width, frame.height) for frame in frames} == {size}
        assert stream.average_rate == rate
        assert container.duration / av.time_base == pytest.approx(sum(counts) / rate, abs=2e-3)
    assert len(frames) == sum(counts)
    times = [float(frame.pts * frame.time_base) for frame in frames]
    assert times == pytest.approx([i / rate for i in range(sum(counts))], abs=6e-4 if name == "webm" else 1e-6)


@every_format
def test_a_segment_of_any_length_and_shape_is_whole(tmp_path, name):
    fmt = FORMATS[name]
    for size in (SIZE, (480, 854), (854, 480)):
        for rate in (10, 15, 30):
            for count in (1, 2, 5):
                path = encoded(tmp_path / "a", count, name, size=size, rate=rate)
                assert check_segment(path, fmt, size, rate, count) is None
                assert f"{count} frames, not {count + 1}" in check_segment(path, fmt, size, rate, count + 1)
                assert check_segment(path, fmt, size, rate, count - 1) == f"it holds more than {count - 1} frames"
                assert "frame rate" in check_segment(path, fmt, size, rate + 1, count)
                assert "size" in check_segment(path, fmt, (size[0] + 2, size[1]), rate, count)


@every_format
def test_equal_frames_give_equal_bytes(tmp_path, films, sound, name):
    again, parts = made(tmp_path, name, COUNTS, **ALL, sound=sound)
    out, before = films[name]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(parts, before, strict=True))
    if name == "png":
        assert all((again / file.name).read_bytes() == file.read_bytes() for file in out.iterdir())
    else:
        assert again.read_bytes() == out.read_bytes()


@every_format
def test_the_number_of_cores_changes_no_byte(tmp_path, name):
    frames, fmt = list(moving(12, 0, FORMATS[name].alpha, (480, 270))), FORMATS[name]
    encode_segment(tmp_path / "all", frames, fmt, (480, 270), RATE, 12)
    if hasattr(os, "sched_setaffinity"):  # codecs count the cores that they may use
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)})
        try:
            encode_segment(tmp_path / "one", frames, fmt, (480, 270), RATE, 12)
        finally:
            os.sched_setaffinity(0, cores)
        assert (tmp_path / "one").read_bytes() == (tmp_path / "all").read_bytes()


@every_format
def test_a_frame_that_is_shown_twice_is_written_twice(tmp_path, name):
    fmt = FORMATS[name]
    one, two = moving(2, 5, fmt.alpha)
    encode_segment(tmp_path / "same", [one, one, two, two, two, one], fmt, SIZE, RATE, 6)
    encode_segment(tmp_path / "copies", [f.copy() for f in (one, one, two, two, two, one)], fmt, SIZE, RATE, 6)
    assert (tmp_path / "same").read_bytes() == (tmp_path / "copies").read_bytes()


@every_format
def test_frames_may_be_read_only_or_parts_of_larger_ones(tmp_path, name):
    fmt = FORMATS[name]
    plain = list(moving(3, 4, fmt.alpha))
    large = [np.pad(frame, ((3, 5), (7, 2), (0, 0)))[3:-5, 7:-2] for frame in plain]
    fixed = [frame.copy() for frame in plain]
    for frame in fixed:
        frame.flags.writeable = False
    for kind, frames in (("plain", [f.copy() for f in plain]), ("large", large), ("fixed", fixed)):
        encode_segment(tmp_path / kind, frames, fmt, SIZE, RATE, 3)
        assert (tmp_path / kind).read_bytes() == (tmp_path / "plain").read_bytes(), kind


@every_format
def test_another_number_of_frames_than_was_announced_is_an_error(tmp_path, name):
    for came in (2, 4):
        with pytest.raises(ValueError, match=f"{came} frames came, not 3"):
            encode_segment(tmp_path / "a", moving(came, 0, FORMATS[name].alpha), FORMATS[name], SIZE, RATE, 3)


def test_mp4_is_medium_at_crf_20_on_one_thread(films):
    told = films["mp4"][1][0].read_bytes()
    for words in (b" crf=20.0 ", b" subme=7 ", b" ref=3 ", b" me=hex ", b" threads=1 ", b" rc_lookahead=14 "):
        assert words in told, words


@pytest.mark.parametrize("name", ["mp4", "webm", "mov"])
def test_colours_are_told_and_kept(tmp_path, name):
    fmt = FORMATS[name]
    frame = np.full((72, 128, 4), 255, np.uint8)
    frame[:, :64, :3], frame[:, 64:, :3] = (57, 146, 130), (174, 94, 240)
    encode_segment(tmp_path / "c", [frame[:, :, : 4 if fmt.alpha else 3]] * 4, fmt, SIZE, RATE, 4)
    with av.open(str(tmp_path / "c")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
        assert context.color_range == 1
        picture = next(container.decode(video=0)).reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
    assert np.abs(picture[20:50, 10:50].astype(int) - (57, 146, 130)).max() <= 4
    assert np.abs(picture[20:50, 78:118].astype(int) - (174, 94, 240)).max() <= 4


def test_alpha_is_kept_straight(tmp_path):
    frame = np.zeros((72, 128, 4), np.uint8)
    frame[:, :, :3] = (200, 120, 60)
    frame[:, :, 3] = np.linspace(0, 255, 128).round()
    encode_segment(tmp_path / "a", [frame] * 2, FORMATS["mov"], SIZE, RATE, 2)
    with av.open(str(tmp_path / "a")) as container:
        found = next(container.decode(video=0)).reformat(format="rgba", src_colorspace="ITU709").to_ndarray()
    assert np.abs(found[:, :, 3].astype(int) - frame[:, :, 3]).max() <= 1
    assert np.abs(found[:, :, :3].astype(int) - frame[:, :, :3]).max() <= 4


# --- joining ---


@every_film
def test_joining_is_bit_exact(films, name):
    out, parts = films[name]
    whole, single = pictures(out), [frame for part in parts for frame in pictures(part)]
    assert len(whole) == len(single) == sum(COUNTS)
    assert all(np.array_equal(a, b) for a, b in zip(whole, single, strict=True))
    with av.open(str(out)) as container:
        joined = [bytes(packet) for packet in container.demux(video=0) if packet.pts is not None]
    apart = []
    for part in parts:
        with av.open(str(part)) as container:
            apart += [bytes(packet) for packet in container.demux(video=0) if packet.pts is not None]
    assert joined == apart


def test_a_png_is_the_frame(films):
    files = sorted(films["png"][0].iterdir())
    assert all(np.array_equal(Image.open(a), b) for a, b in zip(files, moving(sum(COUNTS)), strict=True))


def test_a_gif_moves_as_the_frames_do(films):
    frames = decode(films["gif"][0])
    assert len(frames) == sum(COUNTS)
    error = [np.abs(a.astype(int) - b).max() for a, b in zip(frames, moving(sum(COUNTS)), strict=True)]
    assert max(error) <= 4  # three colours find their places in any palette
    with Image.open(films["gif"][0]) as picture:
        assert picture.info["loop"] == 0


@every_film
def test_each_segment_is_one_closed_group(films, name):
    with av.open(str(films[name][0])) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.pts is not None]
        keys = [round(float(p.pts * p.time_base) * RATE) for p in packets if p.is_keyframe]
        assert all(a.dts < b.dts for a, b in pairwise(packets))
        assert all(p.dts <= p.pts for p in packets)
    starts = [sum(COUNTS[:i]) for i in range(len(COUNTS))]
    assert keys == (list(range(sum(COUNTS))) if name == "mov" else starts)


@pytest.mark.parametrize("name", ["mp4", "mov"])
def test_the_index_stands_in_front(films, name):
    data = films[name][0].read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


@every_format
def test_tags_come_back_whole(films, name):
    found = read_metadata(films[name][0])
    assert {key: found[key] for key in TAGS} == TAGS
    assert digest_of(found) == "abc"


@every_film
def test_chapters_come_back(films, name):
    with av.open(str(films[name][0])) as container:
        found = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
            for c in container.chapters()
        ]
    assert [title for *_, title in found] == [title for *_, title in CHAPTERS]
    assert [t for a, b, _ in found for t in (a, b)] == pytest.approx(
        [t for a, b, _ in CHAPTERS for t in (a, b)], abs=1e-3
    )


@every_film
def test_captions_come_back_as_soft_subtitles(films, name):
    with av.open(str(films[name][0])) as container:
        stream = container.streams.subtitles[0]
        assert stream.codec_context.name == {"webm": "webvtt"}.get(name, "mov_text")
        found = []
        for packet in container.demux(stream):
            words = b"".join(rect.dialogue for rect in stream.decode2(packet).rects) if packet.size > 2 else b""
            if words:
                start = float(packet.pts * packet.time_base)
                found.append((start, start + float(packet.duration * packet.time_base), words.decode()))
    assert found == [(pytest.approx(a), pytest.approx(b), words) for a, b, words in CAPTIONS]


@every_film
def test_tracks_name_their_language(films, name):
    with av.open(str(films[name][0])) as container:
        assert {stream.language for stream in (*container.streams.subtitles, *container.streams.audio)} == {"eng"}


def test_captions_are_shown_only_when_they_are_asked_for(films):
    """They are in the picture already. Players of mp4 and mov decide by themselves; the file says so in webm."""
    with av.open(str(films["webm"][0])) as container:
        assert not container.streams.subtitles[0].disposition & Disposition.default


@every_film
def test_sound_comes_back(films, name):
    with av.open(str(films[name][0])) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == {"webm": "opus"}.get(name, "aac")
        assert stream.codec_context.sample_rate == 48000
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])
    assert len(heard) / 48000 == pytest.approx(3.0, abs=0.05)
    middle = heard[48000:96000]
    assert np.argmax(np.abs(np.fft.rfft(middle))) == 440
    assert np.abs(middle).max() == pytest.approx(9000 / 32768, rel=0.2)


@every_film
def test_segments_of_another_kind_are_not_joined(tmp_path, name):
    fmt = FORMATS[name]
    good, other = encoded(tmp_path / "a", 3, name), encoded(tmp_path / "b", 3, name, rate=30)
    with pytest.raises(ValueError, match="b: not encoded as the others are"):
        join_segments(tmp_path / "out", [good, other], [3, 3], fmt, {})
    with pytest.raises(ValueError, match="a: 3 frames, not 4"):
        join_segments(tmp_path / "out", [good], [4], fmt, {})


# --- the size of a GIF ---


def test_each_frame_of_a_gif_is_counted(films):
    out, _ = films["gif"]
    sizes = frame_bytes(out)
    assert len(sizes) == sum(COUNTS)
    assert sum(sizes) == out.stat().st_size
    assert min(sizes) > 0


def test_a_step_of_a_gif_is_refused_with_its_size(tmp_path):
    check_gif_step(MOST_STEP_BYTES, "cement")
    with pytest.raises(RequestError, match=r"^--format gif: step cement would be 12\.3 MB, more than 10 MB; give "):
        check_gif_step(12_345_678, "cement")
    noise = np.random.default_rng(0)
    colours = noise.integers(0, 256, (250, 3), np.uint8)
    fmt, size, counts = FORMATS["gif"], (480, 270), [100, 5]
    parts = [tmp_path / "0", tmp_path / "1"]
    for part, count in zip(parts, counts, strict=True):
        frames = (colours[noise.integers(0, 250, (270, 480))] for _ in range(count))
        encode_segment(part, frames, fmt, size, 10, count)
    join_segments(tmp_path / "few.gif", parts[1:], counts[1:], fmt, {}, [(0.0, 0.5, "short")])
    with pytest.raises(RequestError, match=r"step long would be 1\d\.\d MB") as error:
        join_segments(tmp_path / "a.gif", parts, counts, fmt, {}, [(0.0, 10.0, "long"), (10.0, 10.5, "short")])
    size_mb = float(str(error.value).split("would be ")[1].split()[0])
    assert size_mb == pytest.approx(sum(frame_bytes(tmp_path / "a.gif")[:100]) / 1e6, abs=0.051)
    check_gif_steps(tmp_path / "a.gif", 10, [(0.0, 5.0, "half"), (5.0, 10.0, "half"), (10.0, 10.5, "short")])


# --- only what changes is converted ---


def planes_of(picture):
    return [plane.copy() for plane in encode._planes(picture)]


@given(data=st.data(), size=st.sampled_from([(320, 240), (160, 80), (80, 120), (854, 480), (120, 40), (128, 72)]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_frames_of_which_a_part_was_converted_are_those_of_which_all_was_to_the_last_bit(data, size):
    width, height = size
    noise = np.random.default_rng(data.draw(st.integers(0, 99)))
    frame = noise.integers(0, 256, (height, width, 3), np.uint8)
    frames = [frame]
    for _ in range(data.draw(st.integers(1, 4))):
        frame = frame.copy()
        for _ in range(data.draw(st.integers(0, 3))):
            left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
            high, wide = data.draw(st.integers(1, 50) | st.just(200)), data.draw(st.integers(1, 50) | st.just(200))
            part = frame[top : top + high, left : left + wide]
            part[:] = noise.integers(0, 256, part.shape, np.uint8)
        frames.append(frame)
    made = [planes_of(p) for p in encode._as_pictures(iter(frames), FORMATS["mp4"], "yuv420p")]
    assert len(made) == len(frames)
    for frame, planes in zip(frames, made, strict=True):
        (alone,) = encode._as_pictures(iter([frame]), FORMATS["mp4"], "yuv420p")
        for plane, whole in zip(planes, planes_of(alone), strict=True):
            assert np.array_equal(plane, whole)


def test_a_pixel_at_a_tile_s_edge_changes_the_colours_of_its_neighbour_too():
    before = np.zeros((240, 320, 3), np.uint8)
    for row in (0, 38, 39, 40, 41, 79, 80, 239):
        frame = before.copy()
        frame[row, 100] = 255
        tiles = encode._changed_tiles(before, frame)
        near = {r for r in (row - 2, row, row + 2) if 0 <= r < 240}
        assert {tuple(t) for t in np.argwhere(tiles)} == {(r // 40, 2) for r in near}
    assert not encode._changed_tiles(before, before.copy()).any()
    assert encode._changed_tiles(before[:, :300], before[:, :300]) is None


def test_what_is_given_to_the_encoder_is_left_as_it_was():
    frames = [np.zeros((80, 160, 3), np.uint8) for _ in range(3)]
    frames[1][10:20, 10:20] = 200
    pictures = encode._as_pictures(iter(frames), FORMATS["mp4"], "yuv420p")
    first = next(pictures)
    before = planes_of(first)
    second = next(pictures)
    assert second is not first
    assert all(np.array_equal(a, b) for a, b in zip(before, planes_of(first), strict=True))


# --- what is not whole ---


class Told(dict):
    """A table that says little of itself: hypothesis repeats what it hears."""

    def __repr__(self):
        return f"<{', '.join(self)}>"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """name -> the bytes of a whole segment of 9 frames."""
    folder = tmp_path_factory.mktemp("whole")
    return Told({name: encoded(folder / name, 9, name).read_bytes() for name in FORMATS})


def verdict(folder, data, name):
    path = folder / f"x-{name}"
    path.write_bytes(data)
    return check_segment(path, FORMATS[name], SIZE, RATE, 9)


@every_format
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_segment_is_noticed_wherever_it_ends(tmp_path, whole, name, share):
    data = whole[name]
    assert verdict(tmp_path, data, name) is None
    assert verdict(tmp_path, data[: int(share * len(data))], name)
    assert verdict(tmp_path, data[: len(data) - 1 - int(share * 64)], name)


@every_format
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), more=st.binary(min_size=1, max_size=40))
def test_a_tail_or_a_hole_is_noticed(tmp_path, whole, name, share, more):
    data = whole[name]
    assert verdict(tmp_path, data + more, name)
    # the first that x264 writes are words about itself, which no decoder reads
    first = data.index(b"x264") + 700 if name == "mp4" else 0
    at = first + int(share * (len(data) - 600 - first))
    assert verdict(tmp_path, data[:at] + bytes(600) + data[at + 600 :], name)


@pytest.mark.parametrize("name", ["gif", "png"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_changed_bit_in_a_picture_is_noticed_where_pictures_carry_sums(tmp_path, whole, name, share, bit):
    data = bytearray(whole[name])
    start = data.index(b"\x89PNG") + 8
    end = data.rindex(b"IEND") + 8
    data[start + int(share * (end - start))] ^= 1 << bit
    assert verdict(tmp_path, bytes(data), name)


@every_format
def test_a_foreign_file_is_noticed(tmp_path, whole, films, name):
    for data in (b"", b"\0" * 4000, b"not a film", b"#EXTM3U\nfile:///etc/hosts\n", struct.pack(">I4s", 8, b"free")):
        assert verdict(tmp_path, data, name), data
    for other, data in whole.items():
        same = {name, other} <= {"gif", "png"}
        assert (verdict(tmp_path, data, name) is None) == (other == name or same), other
    if FORMATS[name].suffix:
        assert verdict(tmp_path, films[name][0].read_bytes(), name)
    assert check_segment(tmp_path / "missing", FORMATS[name], SIZE, RATE, 9)
    assert check_segment(tmp_path, FORMATS[name], SIZE, RATE, 9)


def test_what_is_no_film_has_no_tags(tmp_path):
    path = tmp_path / "x.mp4"
    for data in (
        b"not a film",
        b"",
        b"GIF89a",
        b"GIF89a" + bytes(20),
        b"\x1a\x45\xdf\xa3",
        b"\0\0\0\x10ftyp",
        b"#EXTM3U",
    ):
        path.write_bytes(data)
        assert read_metadata(path) == {}, data
    assert read_metadata(tmp_path) == read_metadata(tmp_path / "missing") == {}
    assert digest_of({"comment": "[" * 5000}) is None


PERTURBED = """
import hashlib, sys, tempfile
from pathlib import Path
import numpy as np
from spineviz.film.encode import encode_segment
from spineviz.film.formats import FORMATS

noise = np.random.default_rng(0).integers(0, 255, (200, 400, 3), np.uint8)
ground = np.full((480, 848, 3), (10, 14, 30), np.uint8)
ground[100:300, 200:600] = noise
frames = [np.roll(ground, 3 * i, 1) for i in range(18)]
for name in sys.argv[1:]:
    output = FORMATS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"part{output.segment_suffix}"
        shown = [np.dstack([f, f[:, :, :1]]) if output.alpha else f for f in frames]
        encode_segment(path, shown, output, (848, 480), 15, len(frames))
        print(name, hashlib.sha256(path.read_bytes()).hexdigest())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone fills memory on request")
def test_no_byte_depends_on_what_memory_held_before():
    """glibc fills what is allocated and freed with a byte of choice: an encoder that reads it shows itself."""
    told = set()
    for fill in ("0", "2", "3", "170"):
        environment = {**os.environ, "MALLOC_PERTURB_": fill}
        command = [sys.executable, "-c", PERTURBED, *FORMATS]
        told.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(told) == 1


@pytest.mark.parametrize(("size", "ahead"), [((1920, 1080), 14), ((2560, 1440), 14), ((3840, 2160), 10)])
def test_large_frames_are_looked_at_few_at_a_time(tmp_path, size, ahead):
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    encode_segment(tmp_path / "a.mp4", [frame], FORMATS["mp4"], size, RATE, 1)
    # x264 writes what it was told into the stream
    assert f"rc_lookahead={ahead} ".encode() in (tmp_path / "a.mp4").read_bytes()


def test_an_encoder_that_looks_ahead_begins_when_all_is_drawn(tmp_path, monkeypatch):
    path, begun = tmp_path / "a.mp4", []
    monkeypatch.setattr(encode, "repeat", lambda *told: begun.append(told[1]) or repeat(*told))

    def drawn():
        for frame in moving(4, 0, False):
            for _ in range(3):
                assert not begun
                assert not list(tmp_path.iterdir()), "what waits has no name"
                yield frame

    encode_segment(path, drawn(), FORMATS["mp4"], SIZE, RATE, 12)
    assert begun == [3, 3, 3, 3], "equal frames lie there once"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_what_waits_on_disk_is_encoded_as_it_was_drawn(tmp_path, monkeypatch):
    frames = list(moving(9, 0, False))
    encode_segment(tmp_path / "waited.mp4", frames, FORMATS["mp4"], SIZE, RATE, 9)
    monkeypatch.setattr(encode, "_drawn_first", lambda pictures, path: pictures)
    encode_segment(tmp_path / "at once.mp4", frames, FORMATS["mp4"], SIZE, RATE, 9)
    assert (tmp_path / "waited.mp4").read_bytes() == (tmp_path / "at once.mp4").read_bytes()


@pytest.mark.parametrize("failing", ["write", "readinto"])
def test_a_disk_that_is_full_while_frames_wait_is_told_with_the_path(tmp_path, monkeypatch, failing):
    class Full(io.BytesIO):
        pass

    def fail(self, _):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    setattr(Full, failing, fail)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: Full())
    with pytest.raises(OSError, match="No space left") as caught:
        encode_segment(tmp_path / "a.mp4", moving(2, 0, False), FORMATS["mp4"], SIZE, RATE, 2)
    assert caught.value.filename == str(tmp_path / "a.mp4")
