"""Runs inside the guest as process 1: executes the commands of the test.

It talks to guest.py over a serial line (/dev/ttyS0), so that it stays
reachable whatever a test does to the guest's network. The line's input is
unreliable beyond the 4 KiB the terminal layer buffers (it stops for good once
throttled), so the test writes a request into a file and sends only its number
and a newline. A request is one of

  {"id": 1, "cmd": "shell text" or ["program", "argument"], "input": base64}
  {"id": 1, "signal": 15}      to the command's process group
  {"poweroff": true}

The agent answers over the line itself, one JSON object per line:

  {"ready": true}
  {"id": 1, "out" or "err": base64}
  {"id": 1, "status": n}       as subprocess has it: -n for a signal
"""

import base64
import ctypes
import json
import os
import selectors
import signal
import subprocess
import tty

CHUNK = 65536
REQUESTS = "/run/requests"
RB_POWER_OFF = 0x4321FEDC


class Job:
    def __init__(self, process):
        self.process = process
        self.outputs = {process.stdout: "out", process.stderr: "err"}


class Agent:
    def __init__(self, line):
        self.line = line
        self.unfinished = b""
        self.jobs = {}
        self.selector = selectors.DefaultSelector()
        self.selector.register(line, selectors.EVENT_READ, self.read_requests)
        self.watch_children()

    def watch_children(self):
        wake, self.wake_write = os.pipe()
        for fd in (wake, self.wake_write):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(wake, selectors.EVENT_READ, lambda: self.reap(wake))

    def send(self, **frame):
        data = json.dumps(frame).encode() + b"\n"
        while data:
            data = data[os.write(self.line, data):]

    def serve(self):
        self.send(ready=True)
        while True:
            for key, _ in self.selector.select():
                key.data()

    def read_requests(self):
        *lines, self.unfinished = (self.unfinished + os.read(self.line, CHUNK)).split(b"\n")
        for line in lines:
            with open(f"{REQUESTS}/{int(line)}", encoding="utf-8") as file:
                self.handle(json.load(file))

    def handle(self, request):
        if "poweroff" in request:
            os.sync()
            ctypes.CDLL(None).reboot(RB_POWER_OFF)
        elif "signal" in request:
            job = self.jobs.get(request["id"])
            if job:
                os.killpg(job.process.pid, request["signal"])
        else:
            self.start(request)

    def start(self, request):
        cmd = request["cmd"]
        if isinstance(cmd, str):
            cmd = ["/bin/bash", "-c", cmd]
        try:
            process = subprocess.Popen(
                cmd, stdin=stdin_of(request), stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, start_new_session=True)
        except OSError as error:
            text = f"{cmd[0]}: {error.strerror}\n".encode()
            self.send(id=request["id"], err=base64.b64encode(text).decode())
            self.send(id=request["id"], status=127)
            return
        job = self.jobs[request["id"]] = Job(process)
        for pipe in job.outputs:
            os.set_blocking(pipe.fileno(), False)
            self.selector.register(
                pipe, selectors.EVENT_READ,
                lambda pipe=pipe: self.forward(request["id"], job, pipe))

    def forward(self, number, job, pipe):
        """Sends what the pipe holds: CHUNK is as much as a pipe can hold."""
        if pipe not in job.outputs:
            return  # closed by ended() after the same select()
        try:
            data = os.read(pipe.fileno(), CHUNK)
        except BlockingIOError:
            return
        if data:
            self.send(id=number, **{job.outputs[pipe]: base64.b64encode(data).decode()})
        else:
            self.selector.unregister(pipe)
            del job.outputs[pipe]
            pipe.close()

    def reap(self, wake):
        try:
            os.read(wake, CHUNK)
        except BlockingIOError:
            pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.ended(pid, os.waitstatus_to_exitcode(status))

    def ended(self, pid, status):
        for number, job in list(self.jobs.items()):
            if job.process.pid == pid:
                break
        else:
            return  # an orphan that process 1 inherited
        job.process.returncode = status
        # Pipes that a background process still holds stay registered; only
        # what is in them by now belongs to the command.
        for pipe in list(job.outputs):
            self.forward(number, job, pipe)
        del self.jobs[number]
        self.send(id=number, status=status)


def stdin_of(request):
    """A memory file holds the input: a pipe might fill and block the agent."""
    if not request.get("input"):
        return subprocess.DEVNULL
    fd = os.memfd_create("input")
    file = os.fdopen(fd, "w+b")
    file.write(base64.b64decode(request["input"]))
    file.seek(0)
    return file


def main():
    line = os.open("/dev/ttyS0", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    tty.setraw(line)
    Agent(line).serve()


main()
