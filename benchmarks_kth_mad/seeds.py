"""Seeds that come of one: for each of several processes, and for each clip."""

import hashlib


def of_rank(seed: int, rank: int) -> int:
    """The seed itself in the first of several processes, and another one in each of the rest."""
    # torch's generator on the CPU reads the lower 32 bits alone
    return (seed + rank * 0x9E3779B1) % 2**32 if rank else seed


def of_clip(seed: int, name: str) -> int:
    """The seed of what is drawn for one clip: other clips and other seeds have others."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:4], "big")
