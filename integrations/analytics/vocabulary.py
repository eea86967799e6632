"""The words for what shoppers do: Segment's e-commerce spec v2, and our own where it has none.

docs/analytics.md tells of each where it comes from and what it carries; a test holds the two together.
"""

# Told by the browser's requests through the view buffer: they may be lost, and are counted where they arrive.
VIEWS = frozenset({"Cart Viewed", "Product Viewed", "Products Searched"})
# Told through the outbox with the change that made them true: they equal what is in the tables.
FACTS = frozenset(
    {
        "Checkout Started",
        "Notification Sent",
        "Order Cancelled",
        "Order Completed",
        "Order Expired",
        "Order Fulfilled",
        "Order Placed",
        "Order Refunded",
        "Payment Failed",
        "Payment Redirected",
        "Payment Succeeded",
        "Product Added",
        "Product Removed",
        "Refund Rejected",
        "Refund Reversed",
    }
)
NAMES = VIEWS | FACTS
