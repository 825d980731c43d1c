"""From what was seen of each pod to findings that name the cause. Pure."""

from runner.analyze.facts import facts
from runner.analyze.judge import judge
from runner.playbook.exit_codes import explain_exit_code

__all__ = ["explain_exit_code", "facts", "judge"]
