"""How badly a simulated world behaves. Drawn anew for every seed: some are calm, some are a nightmare."""

from dataclasses import dataclass, fields
from random import Random


@dataclass(kw_only=True, slots=True)
class Faults:
    """Probabilities, each of one thing going wrong when it could."""

    # The gateway's answers.
    silent_before: float = 0.0
    silent_after: float = 0.0
    refuses: float = 0.0
    stale_word: float = 0.0
    wrong_word: float = 0.0
    wrong_capture: float = 0.0
    processing: float = 0.0
    takes_late_money: float = 0.0
    # The gateway's refunds.
    refund_pending: float = 0.0
    refund_rejected: float = 0.0
    refund_reversed: float = 0.0
    # Its callbacks, and the shop's own messages.
    callback_lost: float = 0.0
    callback_doubled: float = 0.0
    callback_forged: float = 0.0
    wake_up_lost: float = 0.0
    event_doubled: float = 0.0
    # How often the running process is put aside at a seam of this kind.
    hand_over_inside: float = 0.0
    hand_over_between: float = 0.0
    hand_over_at_commit: float = 0.0
    hand_over_at_gateway: float = 0.0

    @classmethod
    def drawn(cls, dice: Random) -> "Faults":
        """Draw the character of one world."""
        most = {
            "silent_before": 0.25, "silent_after": 0.25, "refuses": 0.03, "stale_word": 0.5, "wrong_word": 0.1,
            "wrong_capture": 0.1, "processing": 0.3, "takes_late_money": 1.0, "refund_pending": 0.6,
            "refund_rejected": 0.3, "refund_reversed": 0.3, "callback_lost": 0.6, "callback_doubled": 0.6,
            "callback_forged": 0.05, "wake_up_lost": 0.6, "event_doubled": 0.5, "hand_over_inside": 0.25,
            "hand_over_between": 0.3, "hand_over_at_commit": 0.5, "hand_over_at_gateway": 0.9,
        }  # fmt: skip
        # Squared: most worlds are mild in most respects, and some are wild in some.
        return cls(**{field.name: most[field.name] * dice.random() ** 2 for field in fields(cls)})

    def end(self) -> None:
        """From now on nothing goes wrong."""
        for field in fields(self):
            setattr(self, field.name, 0.0)
