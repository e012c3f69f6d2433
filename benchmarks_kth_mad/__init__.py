"""Benchmarks of captum_video on KTH and multispectral action clips: ``python -m benchmarks_kth_mad``."""
