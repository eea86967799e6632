"""What a browser may do with an answer: nothing at all for the API, as little as they need for the pages we serve."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# JSON is data: whatever a browser takes it for, nothing in it runs, loads or is framed.
_DATA = "default-src 'none'; frame-ancestors 'none'"
_OWN_PAGES = "base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'; img-src 'self' data:"
_PAGES = {
    # unfold's Alpine reads its expressions from attributes, which needs eval, and styles what it shows and hides.
    "/admin/": f"default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; {_OWN_PAGES}",
    # Swagger UI comes from our own static files and styles itself.
    "/docs": f"default-src 'self'; style-src 'self' 'unsafe-inline'; {_OWN_PAGES}",
    # Product images are SVG: opened on their own they may be painted, and nothing else.
    "/static/": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'",
}
_NO_DEVICES = "camera=(), geolocation=(), microphone=(), payment=()"


class SecurityHeaders:
    """Adds to each answer what browsers are to refuse. An answer about somebody is kept by nobody on the way."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer; what a view has said itself stays."""
        response = self.get_response(request)
        headers = response.headers
        headers.setdefault("Content-Security-Policy", policy_for(request.path))
        headers.setdefault("Permissions-Policy", _NO_DEVICES)
        # One that may be asked again with If-None-Match is kept, by its reader alone, and asked again each time.
        headers.setdefault("Cache-Control", "private, no-cache" if response.has_header("ETag") else "no-store")
        return response


def policy_for(path: str) -> str:
    """Return the Content-Security-Policy of what lies at a path."""
    return next((policy for start, policy in _PAGES.items() if path.startswith(start)), _DATA)
