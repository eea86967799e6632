"""Payments over HTTP."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from orders import queries as orders
from orders.errors import OrderNotFound
from payments import queries, services
from payments.dto import PaymentView
from payments.errors import PaymentNotFound
from payments.serializers import (
    CancelPaymentRequest,
    PaymentPageSchema,
    PaymentSchema,
    ReceivedSchema,
    RefundPageSchema,
    RefundRequest,
    RefundSchema,
    StartPaymentRequest,
    payment_json,
    refund_json,
)
from shop.kernel.auth.dto import Caller
from shop.kernel.clock import utc_now
from shop.kernel.errors import Forbidden
from shop.kernel.http.pagination import PAGING, answer, page_of
from shop.kernel.http.serializers import parsed
from shop.kernel.http.views import CheckedView, InternalView, ReceivingView
from shop.kernel.idempotency.http import idempotent, name_of
from shop.kernel.ids import as_uuid
from shop.kernel.money import Money


class PaymentsView(CheckedView):
    """The payments of an order."""

    @extend_schema(
        operation_id="list_payments",
        parameters=[OpenApiParameter("order_id", str, required=True), *PAGING],
        responses=PaymentPageSchema,
    )
    def get(self, request: Request) -> Response:
        """List the payments of one of the caller's orders, newest first."""
        order_id = _order_id(request.query_params.get("order_id"))
        order = orders.payable(order_id=order_id)
        if order is None or not (self.caller.staff or order.user_id == self.caller.id):
            raise OrderNotFound(order_id=order_id)
        page = page_of(request)
        rows = queries.payments_of(order_id=order_id, limit=page.limit + 1, after=page.after, before=page.before)
        return Response(answer(request, page=page, rows=rows, place=lambda row: row.payment_id, as_json=payment_json))

    @extend_schema(
        operation_id="start_payment",
        request=StartPaymentRequest,
        responses={201: PaymentSchema, 200: PaymentSchema},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Start paying: 201 with a new payment, 200 with the order's open one again."""
        body = parsed(StartPaymentRequest, request)
        started = services.start_attempt(
            caller=self.caller,
            order_id=_order_id(body["order_id"]),
            return_url=body["return_url"],
            gateway=body.get("gateway"),
            now=utc_now(),
        )
        code = status.HTTP_201_CREATED if started.created else status.HTTP_200_OK
        return Response(payment_json(started.payment), status=code)


class OnePaymentView(CheckedView):
    """One payment."""

    @extend_schema(operation_id="read_payment", responses=PaymentSchema)
    def get(self, request: Request, payment_id: str) -> Response:  # noqa: ARG002  DRF passes it
        """Return a payment; while it is open, the gateway is asked first."""
        known = _visible(payment_id, self.caller)
        return Response(payment_json(services.look(payment_id=known.payment_id, now=utc_now()) or known))


class CancelPaymentView(CheckedView):
    """Calling a payment off."""

    @extend_schema(operation_id="cancel_payment", request=CancelPaymentRequest, responses=PaymentSchema)
    @idempotent
    def post(self, request: Request, payment_id: str) -> Response:
        """Close the payment at the gateway; 409 when the gateway says that it is paid."""
        parsed(CancelPaymentRequest, request)
        known = _payment_id(payment_id)
        return Response(payment_json(services.cancel_attempt(caller=self.caller, payment_id=known, now=utc_now())))


class RefundsView(CheckedView):
    """Giving a payment's money back."""

    @extend_schema(operation_id="list_refunds", parameters=PAGING, responses=RefundPageSchema)
    def get(self, request: Request, payment_id: str) -> Response:
        """List the refunds of a payment, newest first, as they are known here."""
        known = _visible(payment_id, self.caller).payment_id
        page = page_of(request)
        rows = queries.refunds_page(payment_id=known, limit=page.limit + 1, after=page.after, before=page.before)
        return Response(answer(request, page=page, rows=rows, place=lambda row: row.refund_id, as_json=refund_json))

    @extend_schema(operation_id="refund_payment", request=RefundRequest, responses={201: RefundSchema})
    @idempotent
    def post(self, request: Request, payment_id: str) -> Response:
        """Give back an amount, or all that is left; staff only. The answer says what the gateway made of it so far."""
        known = _visible(payment_id, self.caller)
        if not self.caller.staff:
            raise Forbidden("Only the shop's staff give money back.")
        return _given_back(request, known)


class DefaultCallbackView(ReceivingView):
    """Where the default gateway reports."""

    @extend_schema(operation_id="receive_default_callback", request=OpenApiTypes.BINARY, responses=ReceivedSchema)
    def post(self, request: Request) -> Response:
        """Store the default gateway's message and answer."""
        return _received(request, settings.DEFAULT_GATEWAY)


class CallbackView(ReceivingView):
    """Where a gateway reports."""

    @extend_schema(operation_id="receive_callback", request=OpenApiTypes.BINARY, responses=ReceivedSchema)
    def post(self, request: Request, gateway: str) -> Response:
        """Store this gateway's message and answer."""
        return _received(request, gateway)


class InternalPaymentView(InternalView):
    """One payment, for the house's own systems."""

    scope = "payments:read"

    @extend_schema(operation_id="internal_read_payment", responses=PaymentSchema)
    def get(self, request: Request, payment_id: str) -> Response:  # noqa: ARG002  DRF passes it
        """Return any payment as it is known here; the gateway is not asked."""
        return Response(payment_json(_known(payment_id)))


class InternalRefundsView(InternalView):
    """Giving a payment's money back, for the house's own systems."""

    scope = "payments:refund"

    @extend_schema(operation_id="internal_refund_payment", request=RefundRequest, responses={201: RefundSchema})
    @idempotent
    def post(self, request: Request, payment_id: str) -> Response:
        """Give back an amount of any payment, or all that is left of it."""
        return _given_back(request, _known(payment_id))


def _given_back(request: Request, payment: PaymentView) -> Response:
    body = parsed(RefundRequest, request)
    refund = services.give_back(
        payment_id=payment.payment_id,
        amount=_amount(body.get("amount"), payment.amount.currency),
        reason=body["reason"],
        once=name_of(request),
        now=utc_now(),
    )
    return Response(refund_json(refund), status=status.HTTP_201_CREATED)


def _amount(wanted: dict[str, Any] | None, currency: str) -> Money | None:
    if wanted is None:
        return None
    if wanted["currency"] != currency:
        detail = ErrorDetail(f"The payment was made in {currency}.", code="currency_differs")
        raise ValidationError({"amount": {"currency": [detail]}})
    return Money(wanted["amount"], currency)


def _received(request: Request, gateway: str) -> Response:
    """Store the message; what it means is found out afterwards.

    Whoever calls is known by the signature over the raw body, so nothing parses it before. Some providers sign nothing
    and are known by the address we gave them: its query goes along under a name no real header can have.
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    services.receive_callback(
        gateway=gateway,
        body=_raw_body(request),
        headers={**headers, ":query": request.META.get("QUERY_STRING", "")},
        now=utc_now(),
    )
    return Response({"received": True})


def _raw_body(request: Request) -> bytes:
    """Return the bytes as they came; RequestDataTooBig (413) beyond the limit, however the length was declared."""
    body: bytes = request._request.read(settings.CALLBACK_MAX_BYTES + 1)
    if len(body) > settings.CALLBACK_MAX_BYTES:
        raise RequestDataTooBig("A callback this large is not one of ours.")
    return body


def _visible(text: str, caller: Caller) -> PaymentView:
    payment = _known(text)
    if not (caller.staff or payment.user_id == caller.id):
        raise PaymentNotFound(payment_id=payment.payment_id)
    return payment


def _known(text: str) -> PaymentView:
    payment_id = _payment_id(text)
    payment = queries.payment(payment_id=payment_id)
    if payment is None:
        raise PaymentNotFound(payment_id=payment_id)
    return payment


def _payment_id(text: str) -> UUID:
    payment_id = as_uuid(text)
    if payment_id is None:
        raise PaymentNotFound(payment_id=text)
    return payment_id


def _order_id(text: str | None) -> UUID:
    if text is None:
        raise ValidationError({"order_id": ["Say which order."]}, code="required")
    order_id = as_uuid(text)
    if order_id is None:
        raise OrderNotFound(order_id=text)
    return order_id
