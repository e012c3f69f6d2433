"""What explaining costs, as ratios of things timed in turn in one process: seconds mean little."""
