"""What checkout requests and answers look like on the wire."""

import re
from typing import Any

from django.core.validators import EmailValidator, RegexValidator
from rest_framework import serializers

from checkout.dto import CheckoutView, ShippingOption
from checkout.states import Status
from shop.kernel.clock import rfc3339
from shop.kernel.http.priced import PricedLineSchema, TotalsSchema, priced_line_json, totals_json
from shop.kernel.http.serializers import KeptString, MoneySchema, StrictSerializer, StrictString, money_json

# ISO 3166-1 alpha-2, all officially assigned codes.
COUNTRIES = frozenset(
    """AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM
    FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT
    JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN
    MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT
    PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL
    TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW""".split()
)
# Formats differ by country and change; what is refused here is what can be no postal code anywhere.
_POSTAL_CODE = RegexValidator(re.compile(r"\A[A-Za-z0-9][A-Za-z0-9 -]*\Z"), "Not a postal code.", "invalid_postal_code")


class Country(StrictString):
    """A country by its ISO 3166 alpha-2 code; small letters are understood."""

    default_error_messages = {"invalid_country": "Not an ISO 3166 alpha-2 country code."}

    def to_internal_value(self, data: Any) -> str:
        """Return the code in capitals or refuse."""
        code = super().to_internal_value(data).upper()
        if code not in COUNTRIES:
            self.fail("invalid_country")
        return code


class Address(StrictSerializer):
    """Where goods or bills go. Optional fields may be left out or empty."""

    name = KeptString(max_length=200)
    line1 = KeptString(max_length=200)
    line2 = KeptString(max_length=200, required=False, allow_blank=True)
    city = KeptString(max_length=120)
    region = KeptString(max_length=120, required=False, allow_blank=True)
    postal_code = KeptString(max_length=16, validators=[_POSTAL_CODE])
    country = Country(help_text="ISO 3166 alpha-2, such as DE.")


class StartCheckoutRequest(StrictSerializer):
    """Body of `POST /checkout`. Without a billing address the bill goes where the goods go."""

    email = KeptString(max_length=254, validators=[EmailValidator()])
    shipping_address = Address()
    billing_address = Address(required=False)
    shipping_method = StrictString(max_length=50, help_text="A code of GET /checkout/shipping-methods.")


class ShippingMethodsQuery(serializers.Serializer[Any]):
    """Query of `GET /checkout/shipping-methods`."""

    country = Country(help_text="ISO 3166 alpha-2, such as DE.")


class ShippingMethodSchema(serializers.Serializer[Any]):
    """One way of sending goods."""

    code = serializers.CharField()
    name = serializers.CharField()
    price = MoneySchema()
    free_above = MoneySchema(allow_null=True, help_text="Goods worth this or more are sent for nothing.")
    estimated_days = serializers.CharField(help_text="Such as 2-3.")


class ShippingMethodsSchema(serializers.Serializer[Any]):
    """All ways of sending goods to one country, cheapest first."""

    results = ShippingMethodSchema(many=True)


class CheckoutSchema(serializers.Serializer[Any]):
    """A frozen offer and where it stands."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=[status.value for status in Status])
    lines = PricedLineSchema(many=True)
    totals = TotalsSchema()
    prices_include_tax = serializers.BooleanField()
    email = serializers.EmailField()
    shipping_address = Address()
    billing_address = Address()
    shipping_method = serializers.CharField()
    quote_hash = serializers.CharField()
    expires_at = serializers.DateTimeField()


def checkout_json(view: CheckoutView) -> dict[str, Any]:
    """Return a checkout as the API writes it; the keys are those of `CheckoutSchema`."""
    offer = view.offer
    return {
        "id": offer.checkout_id,
        "status": view.status,
        "lines": [priced_line_json(line) for line in offer.lines],
        "totals": totals_json(offer.totals),
        "prices_include_tax": offer.prices_include_tax,
        "email": offer.email,
        "shipping_address": offer.shipping_address,
        "billing_address": offer.billing_address,
        "shipping_method": offer.shipping_method,
        "quote_hash": offer.quote_hash,
        "expires_at": rfc3339(view.expires_at),
    }


def shipping_option_json(option: ShippingOption) -> dict[str, Any]:
    """Return a shipping method as the API writes it; the keys are those of `ShippingMethodSchema`."""
    return {
        "code": option.code,
        "name": option.name,
        "price": money_json(option.price),
        "free_above": None if option.free_above is None else money_json(option.free_above),
        "estimated_days": option.estimated_days,
    }
