"""What an exit code says about a container, in a sentence without a full stop."""

_SIGNALS = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS",
    8: "SIGFPE", 9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE",
    14: "SIGALRM", 15: "SIGTERM", 31: "SIGSYS",
}  # fmt: skip
_WORDS = {
    0: "the process ended of its own accord and reported success",
    1: "the application reported a general error",
    2: "the application reported wrong usage, or a shell a syntax error",
    126: "the command was found but could not be executed",
    127: "the command was not found",
    128: "the container could not be started, or was told to exit with an invalid code",
    255: "the application exited with -1, or a code out of range",
}
_SIGNAL_WORDS = {
    4: "it executed an instruction that this processor does not have",
    6: "it aborted itself, mostly after a failed assertion or an uncaught error in native code",
    7: "it was killed for a bad memory access (bus error)",
    11: "it crashed on an invalid memory access (segmentation fault)",
    13: "it wrote to a pipe or connection that was closed",
    15: "it was asked to stop and stopped",
    31: "it made a system call that the seccomp profile forbids",
}

_KILLED = (
    "it was killed (SIGKILL): by the kubelet after a failed probe or a grace period that ran "
    "out, by the kernel for memory, or by hand"
)


def explain_exit_code(code: int, reason: str = "", signal: int = 0) -> str:
    """`reason` is the kubelet's (`OOMKilled`, `Error`), `signal` the API's field; codes above 128
    stand for a signal as shells report it."""
    if reason == "OOMKilled":
        return "it used more memory than its limit allows and the kernel killed it"
    if reason == "ContainerStatusUnknown":
        return "its node lost track of it; the exit code is made up"
    number = signal or (code - 128 if 128 < code < 128 + 65 else 0)
    if number == 9:
        return _KILLED
    if number:
        name = _SIGNALS.get(number, f"signal {number}")
        return f"{_SIGNAL_WORDS.get(number, 'it was ended by a signal')} ({name})"
    return _WORDS.get(code, "the application chose this code; its documentation or log says why")
