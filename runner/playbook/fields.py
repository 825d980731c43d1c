"""The kinds of words a playbook is made of, each with its check."""

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

from runner.playbook.base import Check
from runner.playbook.conditions import Condition
from runner.playbook.errors import PlacedError, did_you_mean
from runner.playbook.patterns import compile_pattern
from runner.playbook.selectors import field_selector_problem, label_selector_problem
from runner.playbook.templates import Text


def _checked(problem: Callable[[str], str]) -> Check:
    def check(text: str) -> None:
        if words := problem(text):
            raise PlacedError(words)

    return Check(check)


def _capability_problem(text: str) -> str:
    if text in CAPABILITIES or text == "ALL":
        return ""
    if (bare := text.removeprefix("CAP_")) in CAPABILITIES:
        return f'is written without CAP_: "{bare}"'
    return f'Linux has no capability "{text}"{did_you_mean(bare, CAPABILITIES)}'


def _kind_problem(text: str) -> str:
    """Pods may belong to objects of any kind; but none is called nearly like one of Kubernetes."""
    if text in KINDS:
        return ""
    for kind in KINDS:
        word, known = text.lower(), kind.lower()
        if word in (known, f"{known}s") or (len(known) > 5 and _is_one_slip(word, known)):
            return f'expected the kind of an object, found "{text}" (did you mean "{kind}"?)'
    return ""


def _is_one_slip(one: str, other: str) -> bool:
    """Whether a letter is too much, missing or another one, or two are swapped."""
    short, long = sorted((one, other), key=len)
    pairs = enumerate(zip(short, long, strict=False))
    same = next((n for n, (a, b) in pairs if a != b), len(short))
    if len(short) < len(long):
        return short[same:] == long[same + 1 :]
    if short[same : same + 2] == long[same : same + 2][::-1]:
        return short[same + 2 :] == long[same + 2 :]
    return short[same + 1 :] == long[same + 1 :]


def _pattern_problem(text: str) -> str:
    try:
        compile_pattern(text)
    except ValueError as error:
        return str(error)
    return ""


def _named_problem(text: str) -> str:
    problem = _pattern_problem(text)
    if problem or compile_pattern(text).groupindex:
        return problem
    return "needs at least one named group: (?P<name>...)"


DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
STEP_NAME = r"^[a-z][a-zA-Z0-9_-]{0,40}$"
_RULE_ID = r"^[a-z][a-z0-9-]{0,62}$"
_USED = r"^[a-z0-9][a-z0-9-]*/[A-Za-z0-9_*?-]+$"
_KIND = r"^[A-Z][A-Za-z0-9]{0,62}$"
ABSOLUTE_PATH = r"^/[^:]*$"
_COLLECTED = r"^(\$PODMEDIC_ROOT)?/[^\x00-\x1f]*$"
_COLUMN = r"^[^\s\x00-\x1f]{1,63}$"
_CAPABILITY = r"^[A-Z][A-Z0-9_]{0,62}$"
_ENV_NAME = r"^[-._A-Za-z][-._A-Za-z0-9]{0,252}$"
_TOOL = r"^[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}$"
_REFERENCE = (
    r"^(steps\.[a-z][a-zA-Z0-9_-]{0,40}\.(stdout|stderr)"
    r"|logs\.(last|current|previous|fatal|fatalWords|neighbours)|events(\.[A-Z][A-Za-z0-9]*)?|container\.(message|waitingMessage|status)"
    r"|pod\.(message|conditions\.[A-Z][A-Za-z]*\.message)|object\.(message|status))$"
)
SHAPES = {
    DNS_LABEL: "lower case letters, digits and -",
    STEP_NAME: "a lower case letter first, then letters, digits, _ and -, 41 at most",
    _RULE_ID: "a lower case letter first, then lower case letters, digits and -, 63 at most",
    _USED: "PLAYBOOK/NAME of a step or rule, such as image-pull/image-*",
    _KIND: "a kind such as Deployment",
    _TOOL: "the name of a command",
    ABSOLUTE_PATH: "an absolute path without a colon",
    _COLLECTED: "an absolute path, or one that begins with $PODMEDIC_ROOT/",
    _COLUMN: "a word of at most 63 characters, without blanks",
    _CAPABILITY: "a capability without CAP_, such as SYS_PTRACE",
    _ENV_NAME: "letters, digits, _, - and ., no digit first",
    _REFERENCE: "steps.NAME.stdout, steps.NAME.stderr, logs.last, logs.current, logs.previous, "
    "logs.fatal, logs.fatalWords, logs.neighbours, "
    "events, events.REASON, container.message, container.waitingMessage, container.status, "
    "pod.message, pod.conditions.TYPE.message, object.message or object.status",
}
"""What each pattern asks for, in words."""

CAPABILITIES = (
    "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE",
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER",
    "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN",
    "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP",
    "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE",
    "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG",
    "WAKE_ALARM",
)  # fmt: skip
"""All that Linux has (linux/capability.h, 41 since 5.9), without CAP_."""
KINDS = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "ReplicationController",
    "Job",
    "CronJob",
    "Pod",
    "Node",
)
"""Those of Kubernetes that pods may belong to."""
WORDS = {_CAPABILITY: CAPABILITIES, _KIND: KINDS}
"""What is probably meant where a word has not even the shape that it should have."""

DnsLabel = Annotated[str, Meta(pattern=DNS_LABEL, min_length=1, max_length=63)]
StepName = Annotated[str, Meta(pattern=STEP_NAME)]
RuleId = Annotated[str, Meta(pattern=_RULE_ID)]
Used = Annotated[str, Meta(pattern=_USED, max_length=200)]
Kind = Annotated[str, Meta(pattern=_KIND), _checked(_kind_problem)]
CollectedPath = Annotated[str, Meta(pattern=_COLLECTED, max_length=1024)]
ColumnName = Annotated[str, Meta(pattern=_COLUMN)]
Capability = Annotated[str, Meta(pattern=_CAPABILITY), _checked(_capability_problem)]
EnvName = Annotated[str, Meta(pattern=_ENV_NAME)]
ToolName = Annotated[str, Meta(pattern=_TOOL)]
Reference = Annotated[str, Meta(pattern=_REFERENCE)]
LabelSelector = Annotated[str, _checked(label_selector_problem)]
FieldSelector = Annotated[str, _checked(field_selector_problem)]
Cel = Annotated[str, Check(Condition.compile)]
TemplateText = Annotated[str, Check(Text.compile)]
Pattern = Annotated[str, _checked(_pattern_problem)]
NamedPattern = Annotated[str, _checked(_named_problem)]
