"""Tells people of a run: a few sentences to chats, pagers, mail and webhooks."""

from runner.notify.message import Message, WhatFor, message_of
from runner.notify.send import NotifyError, Service, read_services, send

__all__ = [
    "Message",
    "NotifyError",
    "Service",
    "WhatFor",
    "message_of",
    "read_services",
    "send",
]
