"""What notifications refuses."""

from shop.kernel.errors import NotFound


class MailNotFound(NotFound):
    """There is no such mail."""

    def __init__(self) -> None:
        super().__init__("There is no such mail.")


class OrderUnknown(NotFound):
    """A mail is to be written about an order that is not there."""

    def __init__(self) -> None:
        super().__init__("There is no such order to write about.")
