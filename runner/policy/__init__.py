"""What the administrator allows: read, held against playbooks and injections, and handed to the
API server as a ValidatingAdmissionPolicy."""

from runner.policy.admission import manifests
from runner.policy.judge import Violation, of_exec, of_injection, of_namespace, of_playbook
from runner.policy.spec import DEFAULT, Policy, json_schema, load_policy, read_policy

__all__ = [
    "DEFAULT",
    "Policy",
    "Violation",
    "json_schema",
    "load_policy",
    "manifests",
    "of_exec",
    "of_injection",
    "of_namespace",
    "of_playbook",
    "read_policy",
]
