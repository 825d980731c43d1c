"""What somebody wrote into an alert passes the choke point like what comes from a pod."""

import msgspec

from runner.examine.context import Redact
from runner.model.trigger import Alert, Trigger


def clean_trigger(trigger: Trigger | None, redact: Redact) -> Trigger | None:
    """What names pods stays: those are words that the API server takes for names."""
    if trigger is None:
        return None

    def clean(text: str) -> str:
        return redact.redact_text(text)[0]

    def clean_alert(alert: Alert) -> Alert:
        return msgspec.structs.replace(
            alert,
            name=clean(alert.name),
            labels=_clean_pairs(alert.labels),
            annotations=_clean_pairs(alert.annotations),
            generator_url=clean(alert.generator_url),
            reason=clean(alert.reason),
        )

    def _clean_pairs(pairs: dict[str, str]) -> dict[str, str]:
        # Together: what a rule takes for a secret may hang on the name before it.
        found = {}
        for key, value in pairs.items():
            whole = clean(f"{key}={value}")
            same = whole.startswith(f"{key}=")
            found[key if same else clean(key)] = whole[len(key) + 1 :] if same else clean(value)
        return found

    asked = trigger.asked
    return msgspec.structs.replace(
        trigger,
        receiver=clean(trigger.receiver),
        group_key=clean(trigger.group_key),
        external_url=clean(trigger.external_url),
        alerts=tuple(map(clean_alert, trigger.alerts)),
        asked=asked and msgspec.structs.replace(asked, reason=clean(asked.reason)),
    )
