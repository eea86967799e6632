"""Finishes the generated OpenAPI document: every operation can answer with problem details."""

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
