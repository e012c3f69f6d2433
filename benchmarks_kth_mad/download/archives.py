"""What KTH's server offers, and the sums by which an archive is known to be the right one."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks_kth_mad.errors import BenchmarkError

KTH_URL = "http://www.nada.kth.se/cvap/actions"


@dataclass(frozen=True)
class Archive:
    """One zip of the set: the action whose videos it holds, and its SHA-1 sum in hexadecimal."""

    action: str
    sha1: str

    @property
    def name(self) -> str:
        """Such as ``walking.zip``."""
        return f"{self.action}.zip"


KTH_ARCHIVES = (
    Archive("boxing", "adb36ed9c29c846d44d2ba15f348bd115c951bbd"),
    Archive("handclapping", "d3b81261aa822ef63d0d1523f945bfaff27814d2"),
    Archive("handwaving", "0792f7cd69f7f895a205c08ac212ddaa7177e370"),
    Archive("jogging", "21943bdbcef9dad106db0d74661e49eaeaa15a25"),
    Archive("running", "da83bb313edfd4455fffdda6263696fa10d43c6f"),
    Archive("walking", "a3e81537271a0ab4576591774baa38c2d97b7e3a"),
)


def address(base: str, name: str) -> str:
    """Where a file lies below the address of a server's folder.

    Raises:
        BenchmarkError: the base is no address of a web server.
    """
    try:
        parts = urlsplit(base)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise BenchmarkError(f"--url {base}: expected an address such as {KTH_URL}")
    return f"{base.rstrip('/')}/{name}"
