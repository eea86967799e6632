"""Everything payments can refuse."""

from uuid import UUID

from shop.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from shop.kernel.money import Money


class PaymentNotFound(NotFound):
    """There is no such payment, or it is somebody else's."""

    def __init__(self, *, payment_id: UUID | str) -> None:
        super().__init__("There is no such payment.", payment_id=str(payment_id))


class OrderNotPayable(Conflict):
    """The order is paid, called off, or past its deadline."""

    code = "order_not_payable"

    def __init__(self, *, order_id: UUID, status: str) -> None:
        super().__init__("This order does not wait for a payment.", order_id=str(order_id), order_status=status)


class ReturnUrlNotAllowed(Invalid):
    """The browser would be sent to a place that is not among the shop's own."""

    code = "return_url_not_allowed"

    def __init__(self) -> None:
        super().__init__(
            "The return address is not one of this shop's.",
            errors=[{"pointer": "/return_url", "code": self.code, "detail": "Not an allowed origin."}],
        )


class UnknownGateway(Invalid):
    """The shop does not work with a gateway of this name."""

    code = "unknown_gateway"

    def __init__(self) -> None:
        super().__init__(
            "There is no such gateway.",
            errors=[{"pointer": "/gateway", "code": self.code, "detail": "Not one of this shop's gateways."}],
        )


class CallbackForNobody(NotFound):
    """A callback was sent to the path of a gateway the shop does not work with."""

    def __init__(self) -> None:
        super().__init__("There is nothing at this path.")


class InvalidCallback(Invalid):
    """The message is not the gateway's. One text for every reason, so that a forger learns nothing."""

    code = "invalid_callback"

    def __init__(self) -> None:
        super().__init__("This is not a valid callback.")


class GatewayDown(Unavailable):
    """The gateway does not answer. The attempt is kept and resolved later; the same call again continues it."""

    code = "gateway_unavailable"

    def __init__(self, *, payment_id: UUID | None = None, retry_after_seconds: int = 5) -> None:
        data = {} if payment_id is None else {"payment_id": str(payment_id)}
        super().__init__("The payment provider does not answer.", retry_after_seconds=retry_after_seconds, **data)


class GatewayDeniesPayment(Conflict):
    """The gateway does not know the session it gave us, or will not touch it. A person has to look there."""

    code = "gateway_denies_payment"

    def __init__(self, *, payment_id: UUID, why: str) -> None:
        super().__init__("The payment provider denies this payment.", payment_id=str(payment_id), provider_code=why)


class NotInReview(Conflict):
    """Only what waits for a person can be given up by one."""

    code = "not_in_review"

    def __init__(self, *, entity: str) -> None:
        super().__init__(f"This {entity} is not in review.")


class RefundNotFound(NotFound):
    """There is no such refund."""

    def __init__(self, *, refund_id: UUID | str) -> None:
        super().__init__("There is no such refund.", refund_id=str(refund_id))


class RefundExceedsCaptured(Conflict):
    """More would go back than came and is not on its way back already. A payment that took nothing has nothing."""

    code = "refund_exceeds_captured"

    def __init__(self, *, payment_id: UUID, refundable: Money) -> None:
        super().__init__(
            "This is more than can be given back.",
            payment_id=str(payment_id),
            refundable={"amount": refundable.amount, "currency": refundable.currency},
        )


class RefundAtGateway(Conflict):
    """The gateway has the refund: it is not given up, or its money would go back twice."""

    code = "refund_at_gateway"

    def __init__(self, *, refund_id: UUID, state: str) -> None:
        super().__init__("The payment provider has this refund.", refund_id=str(refund_id), state=state)


class RefundInReview(Conflict):
    """What the gateway says of the refund contradicts us: a person looks before anything is given back anew."""

    code = "refund_in_review"

    def __init__(self, *, refund_id: UUID) -> None:
        super().__init__("This refund is in review; look at it first.", refund_id=str(refund_id))


class NothingLeftToRefund(Conflict):
    """All that came is back, or on its way back."""

    code = "nothing_left_to_refund"

    def __init__(self, *, payment_id: UUID) -> None:
        super().__init__("Nothing is left to give back: all of it is back or on its way.", payment_id=str(payment_id))


class CallbackNotStuck(Conflict):
    """The callback was applied or dismissed already, or is waiting for its turn."""

    code = "callback_not_stuck"

    def __init__(self, *, state: str) -> None:
        super().__init__("This callback waits for nobody.", state=state)


class FindingNotFound(NotFound):
    """There is no such finding."""

    def __init__(self, *, finding_id: UUID | str) -> None:
        super().__init__("There is no such finding.", finding_id=str(finding_id))


class FindingNotOpen(Conflict):
    """The finding was fixed, is gone, or was waved through."""

    code = "finding_not_open"

    def __init__(self, *, finding_id: UUID, state: str) -> None:
        super().__init__("This finding is closed.", finding_id=str(finding_id), state=state)


class FindingNotFixable(Conflict):
    """No safe way is known to mend this by itself; a person has to decide."""

    code = "finding_not_fixable"

    def __init__(self, *, finding_id: UUID, kind: str) -> None:
        super().__init__(
            "Nothing can mend this by itself; see the runbook on findings.", finding_id=str(finding_id), kind=kind
        )
