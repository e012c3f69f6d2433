"""One question to a web server: what is worth asking again, and what is an error at once."""

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, InvalidURL
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from benchmarks_kth_mad.download.disk import CHUNK
from benchmarks_kth_mad.errors import BenchmarkError

_BUSY = (408, 425, 429, 500, 502, 503, 504)
_OUT_OF_RANGE = 416
_LENGTH = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Patience:
    """How much is put up with from a server.

    Args:
        timeout: seconds to wait for a connection, and for each next byte.
        retries: how many more times to try, where one try after the other brings nothing new.
        wait: seconds before the first of them; each further one waits twice as long.
    """

    timeout: float = 30.0
    retries: int = 4
    wait: float = 1.0


DEFAULT_PATIENCE = Patience()


class Broken(Exception):
    """A try that failed in a way that may pass; says how."""


class Outdated(Broken):
    """The server has no such part of the file, so what is here is of another one."""


@contextmanager
def ask(
    url: str, patience: Patience, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> Iterator[HTTPResponse]:
    """The server's answer, once its head has come; closed when the block ends.

    Raises:
        BenchmarkError: no such server or file, or an address that is none.
        Broken: no answer, or one that says that the server is busy.
    """
    try:
        request = Request(url, headers=dict(headers or {}), method=method)
        response = _opener().open(request, timeout=patience.timeout)
    except HTTPError as error:
        error.close()
        raise _bad_status(url, error) from error
    except URLError as error:
        raise _no_answer(url, error.reason) from error
    except (InvalidURL, ValueError) as error:
        raise BenchmarkError(f"{url}: no address that can be asked ({error})") from error
    except (OSError, HTTPException) as error:
        raise Broken(_words(error)) from error
    if response is None:
        raise BenchmarkError(f"{url}: no answer; check --url")
    with response:
        yield response


def read_some(response: HTTPResponse) -> bytes:
    """The next bytes of an answer's body, as they come; none where it ends.

    Raises:
        Broken: the connection.
    """
    try:
        return response.read1(CHUNK)
    except (OSError, HTTPException) as error:
        raise Broken(_words(error)) from error


def stated_length(response: HTTPResponse) -> int:
    """Bytes of the body, by the head of the answer.

    Raises:
        BenchmarkError: it does not say; then neither room nor completeness could be checked.
    """
    length = response.headers.get("Content-Length", "")
    if not _LENGTH.fullmatch(length):
        raise BenchmarkError(
            f"{response.url}: the server does not tell the size (Content-Length {length!r}); use "
            f"another --url"
        )
    return int(length)


def _opener() -> OpenerDirector:
    """Web addresses alone, so that no answer redirects to a file of this machine."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler,
        UnknownHandler,
        HTTPHandler,
        HTTPSHandler,
        HTTPRedirectHandler,
        HTTPDefaultErrorHandler,
        HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def _bad_status(url: str, error: HTTPError) -> Exception:
    # urllib speaks of redirects in several lines
    said = f"the server answered {error.code} ({' '.join(str(error.reason).split())})"
    if error.code in _BUSY:
        return Broken(said)
    if error.code == _OUT_OF_RANGE:
        return Outdated(said)
    return BenchmarkError(f"{url}: {said}; check --url, or try again later")


def _no_answer(url: str, reason: object) -> Exception:
    lasting = isinstance(reason, (socket.gaierror, ssl.SSLCertVerificationError))
    if lasting or not isinstance(reason, OSError):
        return BenchmarkError(f"{url}: no answer ({reason}); check --url and the network")
    return Broken(_words(reason))


def _words(error: Exception) -> str:
    return f"the connection failed ({error or type(error).__name__})"
