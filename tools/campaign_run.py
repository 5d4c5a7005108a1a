# SPDX-License-Identifier: Apache-2.0
"""Runs sim_campaign and understands how it ended; for tools/planted and tools/shrink."""

import collections
import os
import re
import resource
import signal
import subprocess

# Freed memory is filled, so that whoever still reads it reads nonsense.
ENVIRONMENT = {**os.environ, "MALLOC_PERTURB_": "165"}

# seed: the first that failed, None when none did or none was named; word: what the checker said.
Ended = collections.namedtuple("Ended", "code seed word seconds out")


def word_of(out):
    asserted = re.search(r"^ASSERT failed: (.*) at \S*?(\w+\.c):\d+$", out, flags=re.M)
    if asserted:
        return f"assertion in {asserted.group(2)}: {asserted.group(1)}"
    sanitized = re.search(r"ERROR: \w+Sanitizer: ([\w-]+)|runtime error: (.*)", out)
    if sanitized:
        return f"sanitizer: {sanitized.group(1) or sanitized.group(2)}"
    failed = re.search(r"^FAILED seed \d+: (.*)$", out, flags=re.M)
    return failed.group(1) if failed else None


def how(code):
    """A crash is not of one class with a script that was refused, nor with a run cut short."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def class_of(word):
    """Two failures of one class have one cause, as far as a checker can tell."""
    if word.startswith(("assertion", "sanitizer")):
        return word
    return re.sub(r"\d+", "N", word.split(":")[0])


def run(program, arguments, cpu_seconds):
    """One run, of at most so many seconds of CPU: beyond them it is told to say where it is."""
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_seconds), int(cpu_seconds) + 10))
    with subprocess.Popen([str(program), *map(str, arguments)], text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT,
                          preexec_fn=limit) as process:
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    failed = re.search(r"^FAILED seed (\d+)", out, flags=re.M)
    word = word_of(out) or how(process.returncode)
    return Ended(process.returncode, int(failed.group(1)) if failed else None, word,
                 usage.ru_utime + usage.ru_stime, out)
