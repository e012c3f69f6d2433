"""The command ``python -m captum_video``: from a video file and a network to a first picture."""
