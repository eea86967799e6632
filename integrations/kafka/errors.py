"""What can go wrong between the outbox and a handler, told apart by what has to be done about it."""


class BrokerError(Exception):
    """Kafka did not take a message, or took it out of turn; nothing is lost, it is sent again from the database."""


class BrokersLost(BrokerError):
    """The client has forgotten every broker and asks nobody any more; another one has to take its place."""


class BatchRefused(Exception):
    """Kafka will never take one of several messages that went together; each has to go alone to show which."""


class Refused(Exception):
    """Kafka will never take this message (too large, forbidden); sending it again cannot help."""


class Unreadable(Exception):
    """A message is not what its headers promise, or has none."""


class DatabaseAway(Exception):
    """The connection to the database is gone; the work was rolled back and is done again once it returns."""


class NoHandler(Exception):
    """The consumer does not listen to this type of event, or there is no such consumer."""


class NobodysLetters(Exception):
    """No consumer or no event is called so, and no dead letter is of one that was."""


class NotAdditive(Exception):
    """Today's events break a promise of the last release: they cannot be released as they are."""


class AlreadyReleased(Exception):
    """The schemas of this version are frozen already."""


class CannotResume(Exception):
    """There is no such replay, it is done, or somebody else is at it."""


class NotReplaySafe(Exception):
    """A handler's effect cannot be made anew from the log."""
