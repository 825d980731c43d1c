"""The script that captures packets, run by the shells of images."""

from pathlib import Path

import pytest

from runner.analyze.parse import parse_output
from tests.programs.program_runs import needed
from tests.programs.scripts import SHELLS, run, step_of

NAME = "packet-capture"


# Lines of tcpdump 4.99 from a pod of the lab, without the options; 10.244.1.52 is the pod.
TCPDUMP = r"""#!/bin/sh
printf '%s\n' "$*" >"${0%/*}/asked"
tcp() { echo "1795888620.4 ${5:-eth0}  $1 IP $2 > $3: Flags $4"; }
me=10.244.1.52
# refused at once, twice
tcp Out $me.58590 10.244.0.2.54 '[S], seq 724144527, win 64240, options [mss 1460], length 0'
tcp 'In ' 10.244.0.2.54 $me.58590 '[R.], seq 0, ack 724144528, win 0, length 0'
tcp Out $me.58600 10.244.0.2.54 '[S], seq 2387510756, win 64240, length 0'
tcp 'In ' 10.244.0.2.54 $me.58600 '[R.], seq 0, ack 2387510757, win 0, length 0'
# a conversation; the client hangs up before all is said, with a packet that is sent again
tcp Out $me.38368 10.96.0.1.443 '[S], seq 4137370135, win 64240, length 0'
tcp 'In ' 10.96.0.1.443 $me.38368 '[S.], seq 3493804482, ack 4137370136, win 65160, length 0'
tcp Out $me.38368 10.96.0.1.443 '[P.], seq 4137370136:4137370142, ack 3493804483, win 63, length 6: HTTP: GET /hunter2?length 99'
tcp Out $me.38368 10.96.0.1.443 '[P.], seq 4137370136:4137370142, ack 3493804483, win 63, length 6: HTTP: GET /hunter2?length 99'
tcp 'In ' 10.96.0.1.443 $me.38368 '[.], ack 4137370142, win 0, length 0'
tcp Out $me.38368 10.96.0.1.443 '[F.], seq 4137370142, ack 3493804483, win 63, length 0'
tcp 'In ' 10.96.0.1.443 $me.38368 '[R], seq 378342828, win 0, length 0'
# broken off by the other side
tcp Out $me.40000 10.0.0.9.5432 '[S], seq 1, win 64240, length 0'
tcp 'In ' 10.0.0.9.5432 $me.40000 '[S.], seq 2, ack 2, win 65160, length 0'
tcp 'In ' 10.0.0.9.5432 $me.40000 '[R.], seq 3, ack 2, win 0, length 0'
# no answer; and one after the second packet
tcp Out $me.40001 10.0.0.8.80 '[S], seq 77, win 64240, length 0'
tcp Out $me.40001 10.0.0.8.80 '[S], seq 77, win 64240, length 0'
tcp Out $me.40002 10.0.0.7.80 '[S], seq 78, win 64240, length 0'
tcp Out $me.40002 10.0.0.7.80 '[S], seq 78, win 64240, length 0'
tcp 'In ' 10.0.0.7.80 $me.40002 '[S.], seq 2, ack 79, win 65160, length 0'
# from others: to a closed port, to one that is slow, and a reset that a client may send
tcp 'In ' 10.244.0.1.50000 $me.8081 '[S], seq 5, win 64240, length 0'
tcp Out $me.8081 10.244.0.1.50000 '[R.], seq 0, ack 6, win 0, length 0'
tcp 'In ' 10.244.0.1.50001 $me.8080 '[S], seq 6, win 64240, length 0'
tcp 'In ' 10.244.0.1.50001 $me.8080 '[S], seq 6, win 64240, length 0'
tcp 'In ' 10.244.0.1.50002 $me.8080 '[S], seq 7, win 64240, length 0'
tcp Out $me.8080 10.244.0.1.50002 '[S.], seq 7, ack 8, win 64240, length 0'
tcp 'In ' 10.244.0.1.50002 $me.8080 '[R.], seq 8, ack 8, win 0, length 0'
# loopback and ICMP
tcp 'In ' 127.0.0.1.59980 127.0.0.1.99 '[S], seq 2837253293, win 65495, length 0' lo
tcp 'In ' 127.0.0.1.99 127.0.0.1.59980 '[R.], seq 0, ack 2837253294, win 0, length 0' lo
echo '1795888620.4 eth0  In  IP 10.0.0.1 > 10.244.1.52: ICMP 10.0.0.9 unreachable - need to frag (mtu 1400), length 556'
echo '1795888620.4 eth0  In  IP 10.0.0.1 > 10.244.1.52: ICMP host 10.0.0.9 unreachable, length 68'
echo 'ended 0 of the text of a packet'
"""
SEEN = {
    "packets 26", "data 2", "resent 1", "too_big 1", "unreachable 1",
    "refused 10.244.0.2 54 2", "resent 10.96.0.1 443 1", "zero-window-there 10.96.0.1 443 1",
    "reset 10.0.0.9 5432 1", "unanswered 10.0.0.8 80 1", "slow 10.0.0.7 80 1",
    "refuses 0.0.0.0 8081 1", "unheard 0.0.0.0 8080 1",
}  # fmt: skip


@pytest.mark.parametrize("awk", ["mawk", "busybox"])
@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_counted(shell: list[str], tmp_path: Path, awk: str) -> None:
    """Nothing of a packet but its header leaves the pod."""
    (tmp_path / "timeout").symlink_to(needed("busybox"))
    (tmp_path / "awk").symlink_to(needed(awk))
    (tmp_path / "tcpdump").write_text(TCPDUMP)
    (tmp_path / "tcpdump").chmod(0o755)
    capture_step = step_of(NAME, "capture")
    text = run(capture_step.changed(parse=None), shell, path=str(tmp_path))
    assert "hunter2" not in text
    assert capture_step.parse is not None
    rows = parse_output(capture_step.parse, text)
    found = {
        " ".join(row[k] for k in ("kind", "host", "port", "total", "count") if row[k])
        for row in rows
    }
    assert found == SEEN
    asked = (tmp_path / "asked").read_text()
    assert "-s 96 -c 4000" in asked
    assert " -w" not in asked


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (124, 0)])
def test_only_a_capture_passes(shell: list[str], tmp_path: Path, code: int, expected: int) -> None:
    (tmp_path / "timeout").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "timeout").chmod(0o755)
    (tmp_path / "awk").symlink_to(needed("busybox"))
    one = step_of(NAME, "capture")
    script = f"({one.script}\n); echo code=$?"
    text = run(one.changed(script=script, parse=None), shell, path=str(tmp_path))
    assert text.splitlines()[-1] == f"code={expected}"
