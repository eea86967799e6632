"""What a purchase leaves behind outside the API: mails in the state folder, events on the broker."""

from email import message_from_bytes, policy
from pathlib import Path

from integrations.kafka.client import read_back


class Traces:
    """Reads mails from the state folder and events back from Kafka."""

    def __init__(self, *, mails: Path) -> None:
        self._mails = mails

    def mails(self, order_number: str, *, at_least: int) -> list[str] | None:
        """Return the subjects of the mails about an order, oldest first; None while there are fewer."""
        found = []
        for path in sorted(self._mails.glob("*.eml"), key=lambda path: path.stat().st_mtime):
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            text = mail.get_body(preferencelist=("plain",))
            if text is not None and order_number in text.get_content():
                found.append(f"{mail['Subject'].strip()} (to {mail['To']})")
        return found if len(found) >= at_least else None

    def events(self, order_id: str, *, topics: list[str]) -> list[str] | None:
        """Return one line for each event with this order's key, in the order of `topics`; None while one is missing."""
        passed = {
            record.topic: f"{record.topic:<16} {record.headers['ce_id'].decode()} partition {record.partition}"
            f" offset {record.offset}"
            for record in read_back(topics=topics)
            if record.key.decode() == order_id
        }
        return [passed[topic] for topic in topics] if len(passed) == len(topics) else None
