"""Finishes the generated OpenAPI document: the probes are in it, and every operation can answer with a problem."""

from typing import Any

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable, in snake_case; see docs/problems.md."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer to the field."},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_STATUS = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
# What operators ask is answered by plain functions, which no generator sees: path, sentence, media type, schema.
_PROBES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("/healthz", "Say that the process is alive.", "application/json", _STATUS),
    ("/readyz", "Say whether everything a purchase needs can be reached.", "application/json", _STATUS),
    ("/metrics", "Answer Prometheus: the own network, or METRICS_TOKEN.", "text/plain", {"type": "string"}),
)


def add_probes(
    result: dict[str, Any],
    generator: Any,  # noqa: ARG001  drf-spectacular's signature
    request: Any,  # noqa: ARG001  drf-spectacular's signature
    public: bool,  # noqa: ARG001, FBT001  drf-spectacular's signature
) -> dict[str, Any]:
    """Add what is answered outside the API's views."""
    for path, sentence, media_type, schema in _PROBES:
        answer = {"description": "As it should be.", "content": {media_type: {"schema": schema}}}
        operation = {"operationId": path[1:], "description": sentence, "tags": ["operations"]}
        result["paths"][path] = {"get": {**operation, "responses": {"200": answer}}}
    return result


def add_problem_responses(
    result: dict[str, Any],
    generator: Any,  # noqa: ARG001  drf-spectacular's signature
    request: Any,  # noqa: ARG001  drf-spectacular's signature
    public: bool,  # noqa: ARG001, FBT001  drf-spectacular's signature
) -> dict[str, Any]:
    """Add the `Problem` component and a `default` response of it to each operation."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
    answer = {
        "description": "A problem (RFC 9457).",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for operations in result.get("paths", {}).values():
        for operation in operations.values():
            operation["responses"].setdefault("default", answer)
    return result
