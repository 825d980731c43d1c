"""From alerts to playbooks and pods: bodies of webhooks, matchers, routes. Pure."""

from runner.triggers.body import BodyError, Webhook, read_body
from runner.triggers.matchers import Matcher, MatcherError
from runner.triggers.routing import Decision, decide, trigger_of
from runner.triggers.spec import DEFAULT, Route, Routes, json_schema, load_routes, read_routes
from runner.triggers.targets import NoTargetError, target_of

__all__ = [
    "DEFAULT",
    "BodyError",
    "Decision",
    "Matcher",
    "MatcherError",
    "NoTargetError",
    "Route",
    "Routes",
    "Webhook",
    "decide",
    "json_schema",
    "load_routes",
    "read_body",
    "read_routes",
    "target_of",
    "trigger_of",
]
