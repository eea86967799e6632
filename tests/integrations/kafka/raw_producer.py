"""Records that no Python producer makes: librdkafka's own interface takes header names that are not UTF-8."""

import ctypes
from typing import Any

from confluent_kafka import cimpl
from django.conf import settings

_TOPIC, _VALUE, _HEADER, _END = (ctypes.c_int(tag) for tag in (1, 4, 9, 0))


def produce(*, topic: str, value: bytes, header_name: bytes) -> None:
    """Send one record with one header, and return when the broker has it."""
    # The library's symbols are found through the extension module that is linked to it.
    library: Any = ctypes.CDLL(cimpl.__file__)
    library.rd_kafka_conf_new.restype = library.rd_kafka_new.restype = ctypes.c_void_p
    options = ctypes.c_void_p(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(options, b"bootstrap.servers", settings.KAFKA_BOOTSTRAP_SERVERS.encode(), None, 0)
    producer = ctypes.c_void_p(library.rd_kafka_new(0, options, None, ctypes.c_size_t(0)))
    refused = library.rd_kafka_producev(
        producer,
        *(_TOPIC, ctypes.c_char_p(topic.encode())),
        *(_VALUE, ctypes.c_char_p(value), ctypes.c_size_t(len(value))),
        *(_HEADER, ctypes.c_char_p(header_name), ctypes.c_char_p(b"x"), ctypes.c_ssize_t(1)),
        _END,
    )
    # With F_COPY unset the library reads `value` until it is sent: it lives in this frame.
    assert not refused
    assert not library.rd_kafka_flush(producer, 120_000)
    library.rd_kafka_destroy(producer)
