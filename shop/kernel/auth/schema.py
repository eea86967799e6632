"""How the OpenAPI document describes the ways to authenticate."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from shop.kernel.auth.authentication import API_KEY_HEADER


class BearerToken(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library's hook has no types
    """The access token of a shopper, a guest or somebody of the staff."""

    target_class = "shop.kernel.auth.authentication.StatelessJWT"
    name = "access_token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002  its signature
        """Return the security scheme."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class CheckedBearerToken(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # as above
    """The same token, where the account behind it is looked up."""

    target_class = "shop.kernel.auth.authentication.CheckedJWT"
    name = "checked_access_token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002  its signature
        """Return the security scheme."""
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The same access token; a closed account or a new password ends it at once.",
        }


class ApiKeyHeader(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library's hook has no types
    """The key of an internal caller."""

    target_class = "shop.kernel.auth.authentication.ApiKeyAuthentication"
    name = "api_key"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002  its signature
        """Return the security scheme."""
        return {"type": "apiKey", "in": "header", "name": API_KEY_HEADER}
