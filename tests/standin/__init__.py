"""A stand-in for the provider: its REST API over real HTTP on loopback, its receipts and its webhooks."""

from tests.standin.faults import (
    Fault,
    On,
    accept_then_timeout,
    garbage,
    reset_after_accept,
    reset_before,
    slow,
    status,
)
from tests.standin.ledger import CreateRequest, PhoneText
from tests.standin.messages import AcceptedText
from tests.standin.process import StandinProcess
from tests.standin.receipts import ReceiptChances
from tests.standin.server import TwilioStandin
from tests.standin.webhooks import InboundAnswer

__all__ = [
    "AcceptedText",
    "CreateRequest",
    "Fault",
    "InboundAnswer",
    "On",
    "PhoneText",
    "ReceiptChances",
    "StandinProcess",
    "TwilioStandin",
    "accept_then_timeout",
    "garbage",
    "reset_after_accept",
    "reset_before",
    "slow",
    "status",
]
