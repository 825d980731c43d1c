# ruff: noqa: E501 -- lines of logs
"""How fast redaction is: `python -m bench.redact [--mb N]` prints JSON.

In one run: our redaction on mixed logs (one line in fifty holds a secret), on logs that talk of
secrets (one line in ten) and on clean text; the same rules one by one with Python's `re` as the
baseline; the slowest of many adversarial texts of 1 MB. All times are CPU time of this process.
"""

import argparse
import functools
import json
import os
import platform
import random
import re
import resource
import statistics
import time
from collections.abc import Callable, Iterator

from runner.redact import Redactor, Rule, builtin_rules

MEGABYTE = 1_000_000
_HEX = "0123456789abcdef"
_BASE62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _word(rng: random.Random, alphabet: str, length: int) -> str:
    return "".join(rng.choices(alphabet, k=length))


# Ordinary lines; {h} is hex, {n} a number, {u} base62, {w} a word.
_CLEAN = (
    "2025-11-23T04:36:47.{n}Z INFO request method=GET path=/api/v1/orders/{n} status=200 duration=12ms trace={h}",
    '{"ts":"2025-11-23T04:36:47.{n}Z","level":"info","msg":"order placed","order":"{h}","items":{n}}',
    '10.0.{n}.7 - - [23/Nov/2025:04:36:47 +0000] "GET /static/app.{w}.js HTTP/1.1" 200 {n} "-" "Mozilla/5.0"',
    "I1123 04:36:47.{n}    1 controller.go:615] quota admission added evaluator for: deployments.apps",
    "W1123 04:36:47.{n}    1 reflector.go:561] watch of *v1.Pod ended with: too old resource version: {n}",
    "pulled image registry.example.com/team/{w}@sha256:{h}{h}",
    "    at com.example.orders.OrderService.place(OrderService.java:{n})",
    '  File "/usr/lib/python3.11/site-packages/{w}/client.py", line {n}, in connect',
    'level=warn msg="slow query" db=orders table={w} rows={n} took=1.2s',
    "kernel: [{n}.{n}] TCP: request_sock_TCP: Possible SYN flooding on port 8080",
    "{w} {n} {w} {w} {n} {w} {w} {w} {n}",
    "checkout {h} of branch main into /workspace/{w}",
)
# Lines that mention what the rules look for and hold no secret.
_TALK = (
    'Error: secret "{w}-creds" not found',
    'level=info msg="token expired, refreshing" user={n}',
    "usage prompt_tokens={n} completion_tokens={n}",
    "connecting to postgres://{w}.svc:5432/orders",
    "GET https://{w}.example.com/v1/keys/{n} 200",
    'FATAL: password authentication failed for user "{w}"',
)
_SECRET = (
    "connecting with user=app password={u} host=db",
    "DATABASE_URL=postgres://app:{u}@db:5432/orders",
    "Authorization: Bearer {u}{u}",
    '{"level":"debug","apiKey":"{u}","n":{n}}',
    "using gh" + "p_{u}{u}",
)


def _lines(
    rng: random.Random, templates: tuple[tuple[str, ...], ...], weights: tuple[int, ...]
) -> Iterator[str]:
    while True:
        (kind,) = rng.choices(templates, weights)
        line = rng.choice(kind)
        for mark, alphabet, length in (
            ("{h}", _HEX, 32),
            ("{n}", "123456789", 3),
            ("{u}", _BASE62, 20),
            ("{w}", _HEX[10:] + "ghijkl", 7),
        ):
            while mark in line:
                line = line.replace(mark, _word(rng, alphabet, length), 1)
        yield line


def text(size: int, weights: tuple[int, ...]) -> bytes:
    """At least `size` bytes of log, made of 2 MB of different lines again and again."""
    rng = random.Random(7)
    lines, length = [], 0
    for line in _lines(rng, (_CLEAN, _TALK, _SECRET)[: len(weights)], weights):
        lines.append(line)
        length += len(line) + 1
        if length > min(size, 2 * MEGABYTE):
            break
    block = ("\n".join(lines) + "\n").encode()
    return block * (size // len(block) + 1)


def adversarial(rules: tuple[Rule, ...]) -> Iterator[tuple[str, bytes]]:
    """Texts of 1 MB that ask the most of a searcher."""
    rng = random.Random(3)
    keywords = [keyword for rule in rules for keyword in rule.keywords]
    yield "one letter", b"a" * MEGABYTE
    yield "newlines", b"\n" * MEGABYTE
    yield "backslashes", b"\\" * MEGABYTE
    yield "quotes", b"\"'" * (MEGABYTE // 2)
    yield "random bytes", rng.randbytes(MEGABYTE)
    yield "base64", _word(rng, _BASE62 + "+/", MEGABYTE).encode()
    yield "keywords", "".join(rng.choices(keywords, k=MEGABYTE // 5)).encode()[:MEGABYTE]
    for name, joiner in (
        ("lines of keywords", "\n"),
        ("assigned keywords", "=a1 "),
        ("named keywords", '":"x1",'),
        ("urls", "://a:b1@"),
        ("flags", " --"),
    ):
        yield name, joiner.join(rng.choices(keywords, k=MEGABYTE // 5)).encode()[:MEGABYTE]
    alphabet = keywords + list("=:\"'\\ \n,;&@/-_.{[(<$0aA")
    for number in range(3):
        yield f"soup {number}", "".join(rng.choices(alphabet, k=MEGABYTE // 2)).encode()[:MEGABYTE]
    yield (
        "unclosed keys",
        (b"-----BEGIN RSA " + b"PRIVATE KEY-----\n" + b"A" * 64 + b"\n") * (MEGABYTE // 98),
    )
    yield "headers of keys", (b"-----BEGIN " + b"PRIVATE KEY-----") * (MEGABYTE // 27)
    yield "ends of keys", (b"AAAA\n-----END " + b"PRIVATE KEY-----\n") * (MEGABYTE // 31)
    for encoded in (
        b"cGFzc3dvcmQ9",
        b"cGFzc3dvcmQ9 ",
        b"cGFzc3dvcmQ9aHVudGVyMmh1bnRlcjI= ",
        b"Oi8vYTpiQA==",
    ):
        yield f"base64 {encoded!r}", encoded * (MEGABYTE // len(encoded))
    for piece in (
        b"password=a ",
        b"password=abcd1234 ",
        b"password=abcd1234,",
        b"password=,",
        b"passwordpassword",
        b"token:x1y2z3\n",
        b"A_TOKEN=x1\n",
        b"secret: ",
        b"://a:",
        b"://a:b@",
        b'"password":"',
        b'\\"password\\":\\"',
        b"eyJ",
        b"eyJabcdefgh.",
        b"Bearer ",
        b"mysql -p",
        b"mysql -pa ",
        b"[redacted:x:00000000]",
        b"password=[redacted:x:00000000]",
        b"[redacted:",
        b"name: TOKEN value: ",
        b"name: TOKEN\n",
        b"password\\\\\\\\",
        b"<token>",
        b"<token>x</",
        b"cookie:a=b;",
        b"-p ",
        b"--token ",
        b"a@tcp(",
        b"a:b@tcp(",
        b"sk-",
        b"x@",
        b"$2a$",
        b"key-",
        b"AKIA",
        b"hooks.slack.com/services/",
        b"?token=",
        b"password=a;b=",
        b"password=a b",
        b"curl -u a:b ",
    ):
        yield f"again {piece!r}", piece * (MEGABYTE // len(piece))
    for rule in rules:
        for keyword in rule.keywords[:3]:
            for filler in ("a", "A1", "0", "=", " ", ".", "x1-", '":"'):
                unit = keyword + filler * 20
                yield (
                    f"{rule.id} {keyword!r} {filler!r}",
                    (unit * (MEGABYTE // len(unit) + 1)).encode()[:MEGABYTE],
                )


def _seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def _speed(data: bytes, action: Callable[[bytes], object], runs: int) -> dict[str, float]:
    action(data[:MEGABYTE])
    speeds = [len(data) / MEGABYTE / _seconds(functools.partial(action, data)) for _ in range(runs)]
    return {
        "mb_per_second": round(statistics.median(speeds), 2),
        "slowest": round(min(speeds), 2),
        "fastest": round(max(speeds), 2),
        "runs": runs,
        "mb": round(len(data) / MEGABYTE, 1),
    }


def baseline(rules: tuple[Rule, ...]) -> Callable[[bytes], bytes]:
    """Each rule in its turn over all of the text, as a straightforward redactor does."""
    regexes = [
        re.compile(
            rule.regex.replace(r"\z", r"\Z").encode(), re.IGNORECASE if rule.ignore_case else 0
        )
        for rule in rules
    ]

    def redact(data: bytes) -> bytes:
        for regex in regexes:
            data = regex.sub(b"[redacted]", data)
        return data

    return redact


def measure(megabytes: int) -> dict[str, object]:
    rules = builtin_rules()
    redact = Redactor(b"bench" * 8).redact_bytes
    mixed = text(megabytes * MEGABYTE, (90, 8, 2))
    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "rules": len(rules),
        "mixed": _speed(mixed, redact, 5) | {"redactions": len(redact(mixed)[1])},
        "talk": _speed(text(megabytes * MEGABYTE, (90, 10)), redact, 5),
        "clean": _speed(text(megabytes * MEGABYTE, (1,)), redact, 5),
        "baseline_python_re_mixed": _speed(mixed[:300_000], baseline(rules), 3),
        "adversarial": _adversarial(rules, redact),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _adversarial(rules: tuple[Rule, ...], redact: Callable[[bytes], object]) -> dict[str, object]:
    """`slowest_ms`: best of three, first, name. The first time includes building those states of
    the automata that no text before asked for."""
    times: list[tuple[float, float, str]] = []
    for name, data in adversarial(rules):
        first = _seconds(functools.partial(redact, data))
        again = [_seconds(functools.partial(redact, data)) for _ in range(2 if first > 0.05 else 0)]
        times.append((round(min([first, *again]) * 1000, 1), round(first * 1000, 1), name))
    times.sort(reverse=True)
    return {
        "texts": len(times),
        "over_100_ms": sum(best > 100 for best, _, _ in times),
        "over_100_ms_at_first": sum(first > 100 for _, first, _ in times),
        "slowest_ms": times[:12],
        "slowest_at_first_ms": sorted(times, key=lambda entry: -entry[1])[:5],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=16, help="size of the logs (default 16)")
    print(json.dumps(measure(parser.parse_args().mb), indent=2))


if __name__ == "__main__":
    main()
