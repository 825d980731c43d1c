"""Which line of a log says why a program ended."""

import pytest

from runner.last_words import fatal_line, words_of


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("starting\nFATAL: no rates\nshutting down\n", "FATAL: no rates"),
        ("starting\nERROR no rates\nERROR exiting\n", "ERROR no rates"),
        ("FATAL old\n" + "working\n" * 61, ""),
        ("ERROR old\n" + "working\n" * 15, ""),
        ("cannot read rates\n" + "working\n" * 4, ""),
        ("cannot read rates\n" + "working\n" * 3, "cannot read rates"),
        ("INFO errors=0 failed=0\nbye\n", ""),
        ("WARN cannot reach the tracer, continuing\nbye\n", ""),
        ('level=info msg="error budget left"\n', ""),
        ("error_rate=0.0 last_error=none\n", ""),
        ("RuntimeError: no rates\nWARN: cannot flush\n", "RuntimeError: no rates"),
        (
            ('Exception in thread "main" a.b.StartException: x\n\tat a.B.c(B.java:1)\n'
            "Caused by: java.io.IOException: disk\n\tat a.B.d(B.java:2)\n\t... 4 more\n"),
            "Caused by: java.io.IOException: disk",
        ),
        (
            "host@vault: Permission denied (publickey).\nrsync error: unexplained error (code 255)\n",
            "host@vault: Permission denied (publickey).",
        ),
        (
            '{"log.level":"ERROR","message":"no lock"}\nERROR: it did not exit normally - check the logs\n',
            '{"log.level":"ERROR","message":"no lock"}',
        ),
        # .NET
        (
            ("fail: Microsoft.Extensions.Hosting.Internal.Host[11]\n      Hosting failed to start\n"
            "      System.InvalidOperationException: No orders\n         at Worker..ctor()\n"),
            "fail: Microsoft.Extensions.Hosting.Internal.Host[11]",
        ),
        (
            ("Could not execute because the specified command or file was not found.\n"
            "Possible reasons for this include:\n  * You misspelled a command.\n"
            "  * You intended to execute a program, but dotnet-shop.dll does not exist.\n"),
            "Could not execute because the specified command or file was not found.",
        ),
        # what tells only that something else failed
        (
            ("Host key verification failed.\nfatal: Could not read from remote repository.\n\n"
            "Please make sure you have the correct access rights\nand the repository exists.\n"),
            "Host key verification failed.",
        ),
        (
            "preinit: fatal: /run belongs to uid 0\nsuexec: fatal: child failed with exit code 100\n",
            "preinit: fatal: /run belongs to uid 0",
        ),
        (
            "[ERROR][agent] no such plugin\n[FATAL][Logstash] stopped processing because of an error: (SystemExit) exit\n",
            "[ERROR][agent] no such plugin",
        ),
        (
            ("Invalid maximum heap size: -Xmx512MB\nError: Could not create the Java Virtual Machine.\n"
            "Error: A fatal exception has occurred. Program will exit.\n"),
            "Invalid maximum heap size: -Xmx512MB",
        ),
        (
            ('npm ERR! Missing script: "serve"\nnpm ERR! \nnpm ERR! To see a list of scripts, run:\n'
            "npm ERR!   npm run\nnpm ERR! A complete log of this run can be found in: /x.log\n"),
            'npm ERR! Missing script: "serve"',
        ),
        # written to stdout and stderr at once
        ("ERROR:  relation exists\napplying 42.sql\n", "ERROR:  relation exists"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_line_that_says_most(log: str, line: str) -> None:
    assert fatal_line(log) == line


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ('{"level":"fatal","msg":"cannot start","error":"no rates"}\n', "cannot start: no rates"),
        ('{"level":"fatal","error":{"message":"no rates"}}\n', "no rates"),
        ('{"log.level":"ERROR","message":"boot","error.message":"no lock"}\n', "boot: no lock"),
        ('2026 {"level":"fatal","n":1}\n', '2026 {"level":"fatal","n":1}'),
        (
            "thread 'main' panicked at src/main.rs:9:5:\nno rates\nnote: run with\n",
            "thread 'main' panicked at src/main.rs:9:5: no rates note: run with",
        ),
        (
            (
                "You must install or update .NET to run this application.\n\nFramework: 'A', version '8.0.0'\n"
                "The following frameworks were found:\n  6.0.36\nTo install missing framework, download:\nx\n"
            ),
            (
                "You must install or update .NET to run this application. Framework: 'A', version '8.0.0' "
                "The following frameworks were found: 6.0.36 To install missing framework, download: x"
            ),
        ),
        (
            "fail: Host[11]\n      Hosting failed to start\n      System.InvalidOperationException: No orders\n         at A()\n",
            "fail: Host[11] Hosting failed to start System.InvalidOperationException: No orders at A()",
        ),
        (
            "*** FATAL CONFIG FILE ERROR (R 7) ***\nReading the configuration file, at line 3\n>>> 'maxmemory 1xb'\nbad value\n",
            "*** FATAL CONFIG FILE ERROR (R 7) *** Reading the configuration file, at line 3 >>> 'maxmemory 1xb' bad value",
        ),
        (
            '{"s":"F","msg":"cannot read it: FATAL","attr":{"error":{"code":30,"errmsg":"mode of /key is too open"}}}\n',
            "cannot read it: FATAL: mode of /key is too open",
        ),
        (
            "8:00 [1] FATAL:  files are incompatible\n8:00 [1] DETAIL:  They are of version 13.\n",
            "8:00 [1] FATAL:  files are incompatible They are of version 13.",
        ),
        ("FATAL: no rates\nbye\n", "FATAL: no rates"),
        ("ERROR: a\nok\nERROR: b\nERROR: c\nERROR: d\n", "ERROR: b ERROR: c ERROR: d"),
        ("ERROR: a\nFATAL: b\n", "FATAL: b"),
    ],
)
def test_what_it_says(log: str, words: str) -> None:
    assert words_of(fatal_line(log), log) == words


def test_a_log_without_lines_ends() -> None:
    assert fatal_line("x" * 300_000) == ""
    assert len(words_of("FATAL " + "x" * 5000, "")) == 600
