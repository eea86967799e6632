"""Request bodies, strictly: unknown fields, coerced types and stray control characters are refused."""

from collections.abc import Mapping
from typing import Any, TypeVar

from rest_framework import serializers
from rest_framework.request import Request

from shop.kernel.money import Money
from shop.kernel.validators import refuse_secrets

# PostgreSQL's `integer`, for counts, and its `bigint`, for money: thirty million rupiah do not fit into the first.
LARGEST_INTEGER = 2_147_483_647
LARGEST_AMOUNT = 9_223_372_036_854_775_807

S = TypeVar("S", bound=serializers.Serializer[Any])


class StrictSerializer(serializers.Serializer[Any]):
    """A body in which every field is known; nested ones may be strict as well."""

    def to_internal_value(self, data: Any) -> Any:
        """Refuse unknown fields, then validate as DRF does."""
        if isinstance(data, Mapping):
            unknown = [name for name in data if name not in self.fields]
            if unknown:
                raise serializers.ValidationError(
                    {
                        str(name): [serializers.ErrorDetail("This field is not known here.", code="unknown_field")]
                        for name in unknown
                    }
                )
        return super().to_internal_value(data)


class StrictInteger(serializers.IntegerField):
    """A JSON integer; `"3"`, `3.0` and `true` are something else."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_value", LARGEST_INTEGER)
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> int:
        """Return the integer or refuse."""
        if type(data) is not int:
            self.fail("invalid")
        return data


class StrictString(serializers.CharField):
    """A JSON string; numbers are not turned into one, and control characters have no place in it."""

    default_error_messages = {"control": "Control characters are not allowed."}

    def to_internal_value(self, data: Any) -> str:
        """Return the string or refuse."""
        if not isinstance(data, str):
            self.fail("invalid")
        if any(ord(sign) < 32 or ord(sign) == 127 for sign in data):  # noqa: PLR2004  ASCII's control characters
            self.fail("control")
        return super().to_internal_value(data)


class KeptString(StrictString):
    """A string that is kept or passed on: card numbers, tokens and keys have no place in it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.validators.append(refuse_secrets)


class MoneySchema(serializers.Serializer[Any]):
    """Money as the API writes it."""

    amount = serializers.IntegerField(help_text="Minor units: cents, yen, fils.")
    currency = serializers.CharField(help_text="ISO 4217 code.", min_length=3, max_length=3)


def money_json(money: Money) -> dict[str, Any]:
    """Return money as the API writes it."""
    return {"amount": money.amount, "currency": money.currency}


def parsed(serializer: type[S], request: Request) -> dict[str, Any]:
    """Return the validated body; ValidationError names every field that is wrong."""
    if not isinstance(request.data, Mapping):
        raise serializers.ValidationError({"non_field_errors": ["The body must be a JSON object."]})
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    validated: dict[str, Any] = body.validated_data
    return validated
