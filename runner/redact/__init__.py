"""The choke point: what was collected from a pod passes here before anything leaves the process.

    clean, redactions = Redactor(key).redact_bytes(raw)

Bytes in, bytes out. It never raises, whatever the bytes, and redacting twice changes nothing more.
"""

from runner.redact.engine import Redactor
from runner.redact.ledger import Redaction
from runner.redact.rules import Rule, RuleError, builtin_rules, parse_rules

__all__ = ["Redaction", "Redactor", "Rule", "RuleError", "builtin_rules", "parse_rules"]
