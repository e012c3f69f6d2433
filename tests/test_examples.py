from captum_video.examples import street_video
from captum_video.reading import read_clip


def test_a_resized_clip_keeps_to_the_range_that_pictures_need():
    clip = read_clip(street_video(), 3, start=1.2, frame_rate=6.25, size=112)
    assert clip.min() >= 0
    assert clip.max() <= 1
