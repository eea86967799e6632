"""Bodies that come in chunks. Django reads as far as `Content-Length` says, so without one it reads nothing."""

from collections.abc import Iterable
from io import BytesIO
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def measured(application: WSGIApplication, *, longest: int) -> WSGIApplication:
    """Return the application behind a door that gives a chunked body the length it has.

    Of a body longer than `longest` bytes one byte more is read: whoever judges its length sees that it is too long.
    """

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            body = environ["wsgi.input"].read(longest + 1)
            environ["wsgi.input"] = BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        return application(environ, start_response)

    return serve
