"""JSON in and out. Floats outside JSON's numbers, lone surrogates and bytes that are not UTF-8 are refused."""

from collections.abc import Iterable, Mapping
from typing import IO, Any

import msgspec
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class JSONRenderer(BaseRenderer):
    """Writes answers; dataclasses, UUIDs and the like need no help."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,  # noqa: ARG002  DRF's signature
        renderer_context: Mapping[str, Any] | None = None,  # noqa: ARG002  DRF's signature
    ) -> bytes:
        """Return the body; an answer without one (204) stays empty."""
        return b"" if data is None else msgspec.json.encode(data)


class JsonAnyway(DefaultContentNegotiation):
    """Answers in the view's own words whatever `Accept` says."""

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002  DRF's signature
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,  # noqa: ARG002  DRF's signature
    ) -> tuple[BaseRenderer, str]:
        """Return the first renderer and its media type."""
        ours = next(iter(renderers))
        return ours, ours.media_type


class JSONParser(BaseParser):
    """Reads bodies. An empty body is an empty object, so that a POST without fields needs none."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002  DRF's signature
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002  DRF's signature
    ) -> Any:
        """Return what the body says; ParseError (400) when it is not JSON, RequestDataTooBig (413) when it is long."""
        # Django measures a body only where it reads it itself, and here it is read from the stream.
        body = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig(f"A body has up to {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.")
        if not body:
            return {}
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ParseError(f"The body is not JSON: {error}") from error
