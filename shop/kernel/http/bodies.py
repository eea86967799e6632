"""Bodies are taken in before anybody answers.

A server whose application answers over a body that is still on its way hangs up, and the caller's next request on that
connection is lost. And Django reads as far as `Content-Length` says: of chunks, which come without, it reads nothing.
"""

from collections.abc import Iterable
from io import BytesIO
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def taken_in(application: WSGIApplication, *, longest: int) -> WSGIApplication:
    """Return the application behind a door that waits for the body, and gives a chunked one the length it has.

    Of a body longer than `longest` bytes one byte more is read: whoever judges its length sees that it is too long.
    """

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        if chunked or environ.get("CONTENT_LENGTH", "0") not in {"", "0"}:
            body = environ["wsgi.input"].read(longest + 1)
            environ["wsgi.input"] = BytesIO(body)
            if chunked:
                environ["CONTENT_LENGTH"] = str(len(body))
        return application(environ, start_response)

    return serve
