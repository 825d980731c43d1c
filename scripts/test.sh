#!/bin/sh
# All tests: as many workers as are asked for, each with a lab of its own. What failed beside the
# others, on cores that all of them share, is tried once more when nothing else runs: a fault of
# ours fails again, and the summary shows both.
#   scripts/test.sh WORKERS ARTIFACTS [PYTEST ARGUMENT…]
set -u
workers=$1 artifacts=$2
shift 2
python=.venv/bin/python
# More than these are no accident.
most=6

tests() { # WORKERS FILE ARGUMENT…
    count=$1 junit=$artifacts/$2
    shift 2
    PODMEDIC_ARTIFACTS=$PWD/$artifacts "$python" -m pytest -n "$count" --dist loadfile --no-loadscope-reorder --junitxml="$junit" "$@"
}

# Collected once before, so that the workers do not compile all the same at once.
"$python" -m pytest --collect-only -qq "$@" >/dev/null 2>&1
collected=$?
rm -f "$artifacts/junit-again.xml"
tests "$workers" junit.xml "$@"
code=$?
[ "$code$collected" = 10 ] || exit "$code"
failed=$("$python" -c '
import sys, xml.etree.ElementTree as xml
cases = xml.parse(sys.argv[1]).iter("testcase")
print(sum(any(case.find(kind) is not None for kind in ("failure", "error")) for case in cases))
' "$artifacts/junit.xml") || exit 1
[ "$failed" -gt 0 ] && [ "$failed" -le "$most" ] || exit 1
echo "$failed failed beside the others; once more, with nothing else running:"
tests 1 junit-again.xml --last-failed --last-failed-no-failures none "$@"
