"""The playbooks about disks and volumes: what every rule says, and what the steps read."""

import pytest

from tests.unit.examinations import event, exited, waiting
from tests.unit.library import Case, check, rules_without_a_case

DISK_FULL = [
    Case({"room": "disk 89 1000 /\ninodes 89 9 /\n", "deleted": "deleted 63 7 web|/var/log/a\n",
          "readonly": ""}),
    Case(
        {"room": "disk 100 0 /data\ndisk 99 1 /\ndisk 98 9 /log\ndisk 90 9 /old\n"},
        [("disk-full", "The file system at /data is full: what writes there fails."),
         ("disk-full", "The node's container file system is full: what writes there fails."),
         ("disk-nearly-full", "The file system at /log has less than a tenth of its room left."),
         ("disk-nearly-full", "The file system at /old has less than a tenth of its room left.")],
    ),
    Case(
        {"room": "disk 100 0 /data\ndisk 100 0 /log\ndisk 95 1 /tmp\n",
         "folders": "folder 1258291K /data /data/\nfolder 1048576K /data /data/my spool\n"
         "fills 1048576K /data /data/my spool\nfolder 9K /log /log/\nfills 9K /tmp /tmp/x\n"},
        [("disk-filled-by", ("The file system at /data is full, and what writes there fails: more than half "
          "of what is in use is in /data/my spool (1.0 GiB).")),
         ("disk-full", "The file system at /log is full: what writes there fails."),
         ("disk-nearly-full", "The file system at /tmp has less than a tenth of its room left.")],
    ),
    Case(
        {"room": "disk 9 100 /\ninodes 90 7 /\ninodes 100 0 /data\n"},
        [("inodes-used-up", ("The node's container file system has less than a tenth of its inodes "
          "left: it holds very many small files.")),
         ("inodes-used-up", ("The file system at /data has less than a tenth of its inodes left: it "
          "holds very many small files."))],
    ),
    Case({"deleted": "deleted 63 7 web|/x\nunreadable: some\n"}, unanswered=["deleted-file-held"]),
    Case(
        {"deleted": "deleted 64 7 web|/var/log/web.log\nunreadable: some\n"},
        [("deleted-file-held", ("web in container app holds /var/log/web.log open, which was deleted: "
          "its room is free only when it is closed."))],
    ),
    Case(
        {"readonly": "remounted ext4 /data\n"},
        [("file-system-read-only", ("Container app mounts /data to write there, but the kernel made "
          "its file system (ext4) read-only, which it does after an error of the disk."))],
    ),
    Case(
        {"room": "disk 9 100 /\n"},
        [("no-space-in-the-log", ('Container app says "no space left on device", but the file systems '
          "that were looked at have room: it may be a quota, the size of /dev/shm, the node's limit "
          "of inotify watches, or a file system that was full before."))],
        {"log": "write /data/x: No space left on device\n"},
    ),
    Case(
        {"room": "disk 100 0 /data\n"},
        [("disk-full", "The file system at /data is full: what writes there fails.")],
        {"log": "write /data/x: No space left on device\n"},
    ),
    Case(
        {},
        [("evicted-for-storage", ("The pod was evicted: Pod ephemeral local storage usage exceeds the "
          "total limit of containers 1Gi."))],
        {"state": exited(137), "phase": "Failed", "pod_reason": "Evicted",
         "pod_message": "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."},
    ),
    Case({}, [], {"state": exited(137), "phase": "Failed", "pod_reason": "Evicted",
                  "pod_message": "The node was low on resource: memory."}),
]  # fmt: skip
OK = "volume ok rw write-yes enter-yes 0:0:755 ext4 /data\nvolume ok ro write-no enter-yes 0:0:755 ext4 /conf\n"
VOLUME_MOUNT = [
    Case(
        {"volumes": "unreadable: all\n"},
        unanswered=["volume-hangs", "volume-stale", "volume-not-accessible", "volume-not-writable"],
    ),
    Case({"volumes": OK}, known={"log": "cannot open /other/x: permission denied\n"}),
    Case(
        {"volumes": "volume hangs rw write-no enter-no - nfs4 /share\n"
         "volume stale rw write-no enter-no - fuse.s3 /bucket\nvolume gone rw write-no enter-no - ext4 /x\n"},
        [("volume-hangs", ("The volume that container app mounts at /share (nfs4) does not answer within "
          "three seconds: whatever looks there waits, and cannot even be killed with some kinds of "
          "volumes.")),
         ("volume-stale", ("The volume that container app mounts at /bucket (fuse.s3) is lost: what was "
          "mounted there is not served any more (stale handle, or its driver ended)."))],
    ),
    Case(
        {"volumes": OK.replace("write-yes", "write-no")},
        [("volume-not-writable", ("Container app mounts /data without readOnly, but its user may not "
          "write there (owner:group:mode 0:0:755)."))],
    ),
    Case(
        {"volumes": OK.replace("write-no enter-yes", "write-no enter-no")},
        [("volume-not-accessible",
          "The user of container app may not read the volume at /conf (owner:group:mode 0:0:755).")],
    ),
    Case(
        {"volumes": OK.replace("write-yes", "write-no")},
        [("volume-write-refused", ("Container app fails at /data/x.db: it is in a volume that is mounted "
          "read-only, or whose owner and mode do not let its user in; the excerpt shows both."))],
        {"log": "open /data/x.db: permission denied\n"},
    ),
    Case(
        {"volumes": OK},
        [("volume-write-refused", ("Container app fails at /conf/a.tmp: it is in a volume that is mounted "
          "read-only, or whose owner and mode do not let its user in; the excerpt shows both."))],
        {"log": "OSError: [Errno 30] Read-only file system: '/conf/a.tmp'\n"},
    ),
    # Of a volume that it may write, and of one whose name only begins alike.
    Case({"volumes": OK}, known={"log": "open /data/x.db: permission denied\n"}),
    Case({"volumes": OK}, known={"log": "open /confidential: permission denied\n"}),
    Case(
        {},
        [("volume-attached-elsewhere", ("Container app cannot start because its volume pvc-1 is still "
          "attached to another node, and may be attached to one only."))],
        {"state": waiting("ContainerCreating"), "events": [
            event("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) b', ""),
            event("FailedMount", 'MountVolume.SetUp failed for volume "x" : late', ""),
        ]},
    ),
    Case(
        {},
        [("volume-not-mountable", ("Container app cannot start because its volume conf cannot be mounted: "
          'configmap "web" not found'))],
        {"state": waiting("ContainerCreating"), "events": [
            event("FailedMount", 'MountVolume.SetUp failed for volume "conf" : configmap "web" not found', "")]},
    ),
    Case({"volumes": OK}, known={"events": [
        event("FailedMount", 'MountVolume.SetUp failed for volume "conf" : configmap "web" not found', "")]}),
]  # fmt: skip
CASES = [("disk-full", case) for case in DISK_FULL] + [("volume-mount", c) for c in VOLUME_MOUNT]


@pytest.mark.parametrize(("playbook", "case"), CASES, ids=range(len(CASES)))
def test_what_is_said(playbook: str, case: Case) -> None:
    check(playbook, case)


def test_every_rule_has_a_case() -> None:
    assert rules_without_a_case("disk-full", DISK_FULL) == set()
    assert rules_without_a_case("volume-mount", VOLUME_MOUNT) == set()
