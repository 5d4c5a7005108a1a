"""Linux guests (User Mode Linux) and engines in a private network.

    from guest import Network

    with Network() as net:
        engine = net.popen(["build/mayastor", ...])        # host process
        guest = net.guest()                                # boots in about 1 s
        guest.run("nvme connect -t tcp -a 10.77.0.1 -s 4420 -n NQN", check=True)
        status, stdout, stderr = guest.run("nvme list -o json")

Everything a Network starts lives in a network namespace of its own and ends
with it, even when the test process is killed. Needs root (namespaces, taps);
the guests themselves run as an unprivileged user. See README.md.
"""

import atexit
import base64
import contextlib
import ctypes
import itertools
import json
import os
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
TEMPORARY = Path("/tmp")
NAME_PREFIX = "mayastor-guest-"
GUEST_USER = "nobody"
PROGRAMS = {PYTHON: "python3", "/bin/busybox": "busybox-static", "/bin/ip": "iproute2",
            "bridge": "iproute2", "nsenter": "util-linux", "setpriv": "util-linux",
            "taskset": "util-linux"}
KERNEL_BUILD_TIMEOUT = 3600
TEARDOWN_TIMEOUT = 20
CONSOLE_TAIL = 4000
POLL_INTERVAL = 0.02
CLONE_NEWNET = 0x40000000


class GuestError(Exception):
    """A guest or the network could not do what was asked."""


class GuestDied(GuestError):
    """The guest ended without having been asked to."""


class GuestTimeout(GuestError):
    """Something took longer than the caller allowed."""


class CommandFailed(GuestError):
    """A command called with check=True returned another status than 0."""


class Result(NamedTuple):
    status: int
    stdout: str
    stderr: str


class ScriptResult(NamedTuple):
    status: int
    stdout: str
    stderr: str
    results: Path


def wait_until(condition, timeout, what):
    """Polls until condition() is true and returns its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise GuestTimeout(f"{what}: not within {timeout} s")
        time.sleep(POLL_INTERVAL)


def host_command(*cmd, timeout=TEARDOWN_TIMEOUT):
    """Runs a short administrative command on the host."""
    done = subprocess.run(cmd, capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL)
    if done.returncode:
        raise GuestError(f"{' '.join(map(str, cmd))}: {done.stderr.strip()}")
    return done.stdout


def check_programs():
    """Says what is missing now, rather than let a guest fail obscurely."""
    for program, package in PROGRAMS.items():
        if not shutil.which(program):
            raise GuestError(f"{program} is missing: apt-get install {package}")


def build_kernel():
    """Returns the guest kernel's path; builds it first if it is not cached."""
    done = subprocess.run([HERE / "build_kernel.sh"], stdout=subprocess.PIPE, text=True,
                          timeout=KERNEL_BUILD_TIMEOUT, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise GuestError("the guest kernel could not be built; build_kernel.sh says why above")
    return Path(done.stdout.strip())


# --- processes and leftovers ------------------------------------------------

def process_start(pid):
    """When the process started (clock ticks since boot), None without it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def process_state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def namespace_path(name):
    return Path("/run/netns") / name


def namespace_pids(name):
    if not namespace_path(name).exists():
        return set()
    return {int(pid) for pid in host_command("ip", "netns", "pids", name).split()}


def kill_namespace(name):
    """Kills what runs in the namespace, one process group at a time.

    A group at once, because the host processes that carry a guest's user
    programs would run on, natively, if the guest's main process went first.
    """
    pids = namespace_pids(name)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            group = os.getpgid(pid)
            if group in pids:
                os.killpg(group, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGKILL)
    return not pids


def remove_network(name):
    """Removes all that belongs to the network of this name."""
    wait_until(lambda: kill_namespace(name), TEARDOWN_TIMEOUT,
               f"end of the processes in network namespace {name}")
    try:
        host_command("ip", "netns", "delete", name)
    except GuestError:
        # never made, or removed meanwhile by another who tidies up
        if namespace_path(name).exists():
            raise
    folder = TEMPORARY / name
    if os.environ.get("MAYASTOR_GUEST_KEEP") and folder.exists():
        folder.rename(TEMPORARY / f"kept-{name}")
    shutil.rmtree(folder, ignore_errors=True)


def remove_stale_networks():
    """Removes what test processes left that were killed with their janitor."""
    names = {path.name for base in (TEMPORARY, Path("/run/netns"))
             for path in base.glob(NAME_PREFIX + "*")}
    for name in names:
        owner = re.fullmatch(NAME_PREFIX + r"(\d+)-(\d+)-\d+", name)
        if owner and process_start(owner[1]) != owner[2]:
            remove_network(name)


def janitor(name):
    """Waits for the test process to close the pipe, or die; then tidies up."""
    sys.stdin.buffer.read()
    remove_network(name)


# --- the network ------------------------------------------------------------

class Network:
    """A network namespace with a bridge for guests' taps, 10.77.0.1/24 and
    fd77::1/64. Host processes started by popen() and run() live in it."""

    address = "10.77.0.1"
    address6 = "fd77::1"
    _numbers = itertools.count(1)

    def __init__(self):
        if os.geteuid() != 0:
            raise GuestError("network namespaces and taps need root: run the tests as root")
        check_programs()
        self.guests = []
        self._guest_numbers = itertools.count(2)
        self._kernel = None
        remove_stale_networks()
        pid = os.getpid()
        self.name = f"{NAME_PREFIX}{pid}-{process_start(pid)}-{next(self._numbers)}"
        self.folder = TEMPORARY / self.name
        self._janitor = subprocess.Popen(
            [PYTHON, "-S", HERE / "guest.py", "--janitor", self.name],
            stdin=subprocess.PIPE, start_new_session=True)
        atexit.register(self.close)
        try:
            self._create()
        except BaseException:
            self.close()
            raise

    def _create(self):
        # world-readable: the unprivileged guests' programs come from here
        self.folder.mkdir(mode=0o755)
        self.folder.chmod(0o755)
        host_command("ip", "netns", "add", self.name)
        self._ip("link", "set", "lo", "up")
        self._ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        self._ip("link", "set", "br0", "up")
        self.add_address(f"{self.address}/24")
        self.add_address(f"{self.address6}/64")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends every guest and process and removes namespace and folder."""
        if self._janitor is None:
            return
        worker, self._janitor = self._janitor, None
        atexit.unregister(self.close)
        try:
            for guest in self.guests:
                guest.kill()
        finally:
            worker.stdin.close()
            status = worker.wait(TEARDOWN_TIMEOUT * 2)
        if status:
            raise GuestError(f"teardown of {self.name} failed (status {status}); see above")

    def _ip(self, *arguments):
        return host_command("ip", "-n", self.name, *arguments)

    def add_address(self, address):
        """Gives the host's side one more address, such as 10.77.0.11/24."""
        nodad = ["nodad"] if ":" in address else []
        self._ip("address", "add", address, "dev", "br0", *nodad)

    def remove_address(self, address):
        self._ip("address", "delete", address, "dev", "br0")

    def command(self, cmd):
        """The words that run cmd (text for bash, or a list) in here."""
        words = ["/bin/bash", "-c", cmd] if isinstance(cmd, str) else [str(w) for w in cmd]
        return ["nsenter", f"--net={namespace_path(self.name)}", "--", *words]

    def popen(self, cmd, **options):
        """subprocess.Popen for a host process in this network. It leads a
        process group of its own and is killed when the network closes."""
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.command(cmd), start_new_session=True, **options)

    def run(self, cmd, timeout=30, check=False, input=None):
        """Runs a host process in this network to its end."""
        process = self.popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        try:
            stdout, stderr = process.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            raise GuestTimeout(f"{cmd}: not within {timeout} s\n{stdout}{stderr}") from None
        return checked(Result(process.returncode, stdout, stderr), cmd, check)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        """A socket of the test process that belongs to this network."""
        made = []

        # A thread can enter a namespace alone, so one is spent on it.
        def make():
            try:
                with open(namespace_path(self.name), "rb") as namespace:
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(namespace.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                made.append(socket.socket(family, kind))
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def connect(self, address, port, timeout=5):
        """A TCP connection from the host's side of this network."""
        made = self.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        made.settimeout(timeout)
        try:
            made.connect((address, port))
        except BaseException:
            made.close()
            raise
        return made

    def wait_port(self, port, address=address, timeout=10):
        """Waits until something accepts connections there."""
        def accepts():
            try:
                self.connect(address, port, 1).close()
                return True
            except OSError:
                return False

        wait_until(accepts, timeout, f"a listener on {address} port {port}")

    def kernel(self):
        """The guest kernel, at a path the unprivileged user can reach."""
        if self._kernel is None:
            self._kernel = build_kernel()
            if not reachable_by_others(self._kernel):
                self._kernel = Path(shutil.copy(self._kernel, self.folder / "linux"))
        return self._kernel

    def guest(self, mem="1024M", cpu=None, kernel_args="", timeout=60):
        """Boots a guest. A guest has one CPU; it is kept on one of the host's
        (cpu: which; None takes turns; -1: do not pin, much slower)."""
        self.kernel()
        guest = Guest(self, next(self._guest_numbers), mem, cpu, kernel_args)
        self.guests.append(guest)
        guest.boot(timeout)
        return guest

    def run_guest(self, script, timeout=60, **options):
        """Boots a guest for one bash script, run in its results folder."""
        guest = self.guest(**options)
        try:
            result = guest.run(["/bin/bash", "-s"], input=script, timeout=timeout)
            guest.poweroff()
        finally:
            guest.kill()
        return ScriptResult(*result, guest.results)


def reachable_by_others(path):
    return all(part.stat().st_mode & 0o001 for part in [path, *path.parents])


def checked(result, cmd, check):
    if check and result.status:
        raise CommandFailed(f"{cmd}: status {result.status}\n{result.stdout}{result.stderr}")
    return result


# --- guests -----------------------------------------------------------------

class Job:
    """A command running in a guest."""

    def __init__(self, guest, number, cmd):
        self.guest = guest
        self.cmd = cmd
        self.status = None
        self._number = number
        self._output = {"out": b"", "err": b""}

    @property
    def stdout(self):
        """What it has written so far."""
        return self._output["out"].decode(errors="replace")

    @property
    def stderr(self):
        return self._output["err"].decode(errors="replace")

    @property
    def stdout_bytes(self):
        return self._output["out"]

    def running(self):
        return self.status is None and self.guest.alive()

    def signal(self, number):
        """Sends a signal to the command's process group."""
        self.guest._send(id=self._number, signal=int(number))

    def wait(self, timeout=30, check=False):
        """Waits for the end. A command that is late is killed."""
        if not self._ended_within(timeout):
            with contextlib.suppress(GuestDied):
                self.signal(signal.SIGKILL)
            killed = self._ended_within(2)
            how = "it was killed" if killed else "even SIGKILL did not end it"
            raise GuestTimeout(
                f"{self.cmd}: not within {timeout} s; {how}\n{self.stdout}{self.stderr}"
                f"\n{self.guest.console_report()}")
        return checked(Result(self.status, self.stdout, self.stderr), self.cmd, check)

    def wait_output(self, text, timeout=30):
        """Waits until the output so far contains the text."""
        def seen():
            if text in self.stdout or text in self.stderr:
                return True
            if not self.running():
                self.guest._check_alive()
                raise GuestError(f"{self.cmd}: ended without writing {text!r}\n"
                                 f"{self.stdout}{self.stderr}")
            return False

        wait_until(seen, timeout, f"{text!r} from {self.cmd}")

    def _ended_within(self, timeout):
        changed = self.guest._changed
        with changed:
            changed.wait_for(lambda: self.status is not None or not self.guest.alive(), timeout)
        if self.status is None:
            self.guest._check_alive()
        return self.status is not None

    def _receive(self, frame):
        for name in self._output:
            if name in frame:
                self._output[name] += base64.b64decode(frame[name])
        if "status" in frame:
            self.status = frame["status"]


class Guest:
    """One Linux machine: its own kernel, the host's programs. Made by
    Network.guest().

    address, address6  its addresses in the network
    hostnqn, hostid    the NVMe host identity it has in /etc/nvme
    results            the host's folder that the guest sees as /results, where
                       every command starts
    """

    def __init__(self, net, number, mem, cpu, kernel_args):
        self.net = net
        self.name = f"guest{number}"
        self.address = f"10.77.0.{number}"
        self.address6 = f"fd77::{number:x}"
        self.hostid = str(uuid.uuid4())
        self.hostnqn = f"nqn.2014-08.org.nvmexpress:uuid:{self.hostid}"
        self.results = net.folder / self.name / "results"
        self._requests = net.folder / self.name / "requests"
        self.pid = None
        self.boot_seconds = None
        self._number = number
        self._mem = mem
        self._cpu = pick_cpu(number) if cpu is None else cpu
        self._kernel_args = kernel_args
        self._process = None
        self._listener = None
        self._line = None
        self._changed = threading.Condition()
        self._ready = False
        self._dead = False
        self._jobs = {}
        self._job_numbers = itertools.count(1)
        self._request_numbers = itertools.count(1)

    # -- life

    def boot(self, timeout):
        started = time.monotonic()
        self._prepare()
        self._line, far_end = socket.socketpair()
        with open(self._console, "wb") as console, far_end:
            self._process = self.net.popen(
                self._launch_words(far_end.fileno()), stdout=console, stderr=console,
                pass_fds=[far_end.fileno()], env=self._environment(), cwd="/")
        # every step up to the kernel replaces its process: the pid stays
        self.pid = self._process.pid
        self._listener = threading.Thread(target=self._listen, daemon=True, name=self.name)
        self._listener.start()
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._dead, timeout)
        if not self._ready:
            self._check_alive()
            self.kill()
            raise GuestTimeout(f"{self.name}: not booted within {timeout} s\n"
                               f"{self.console_report()}")
        self.boot_seconds = time.monotonic() - started

    def _prepare(self):
        """The folder the guest's user owns, the programs and the tap."""
        user = pwd.getpwnam(GUEST_USER)
        home = self.results.parent
        self.results.mkdir(parents=True)
        for name in ("init.sh", "agent.py"):
            shutil.copy(HERE / name, home / name)
            (home / name).chmod(0o755)
        self._requests.mkdir()
        for folder in (home, self.results, self._requests):
            folder.chmod(0o755)
            os.chown(folder, user.pw_uid, user.pw_gid)
        self._console = home / "console.log"
        self.net._ip("tuntap", "add", self._tap, "mode", "tap", "user", GUEST_USER)
        self.net._ip("link", "set", self._tap, "master", "br0", "up")

    @property
    def _tap(self):
        return f"tap{self._number}"

    def _launch_words(self, line_fd):
        user = pwd.getpwnam(GUEST_USER)
        # /dev/net/tun may be root's alone: a private mount has one for all. Private copies of other
        # mounts would keep the servers of file systems that are unmounted meanwhile.
        script = ("ulimit -n $(ulimit -H -n); umount --all --lazy --types fuse,fuse.mayastor; "
                  "mount -t tmpfs tmpfs /dev/net && "
                  "mknod -m 666 /dev/net/tun c 10 200 && exec \"$@\"")
        pin = ["taskset", "-c", str(self._cpu)] if self._cpu >= 0 else []
        return ["unshare", "--mount", "/bin/sh", "-c", script, "launch", *pin,
                "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups",
                "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs",
                str(self.net.kernel()), *self._kernel_words(line_fd)]

    def _kernel_words(self, line_fd):
        home = self.results.parent
        return [
            f"mem={self._mem}", "rootfstype=hostfs", "rootflags=/", "ro", f"init={home}/init.sh",
            "con=null", "con0=null,fd:1", "ssl=null", f"ssl0=fd:{line_fd}", "quiet",
            "net.ifnames=0", f"uml_dir={home}", f"umid={self.name}",
            f"vec0:transport=tap,ifname={self._tap},mac=02:77:00:00:00:{self._number:02x},"
            "depth=128,gro=1",
            # the devices are made when asked for
            "null_blk.nr_devices=0",
            # words the kernel does not know become init's environment
            f"guest_name={self.name}", f"guest_address={self.address}",
            f"guest_address6={self.address6}", f"guest_hostid={self.hostid}",
            f"guest_folder={home}",
            *self._kernel_args.split()]

    def _environment(self):
        memory = memory_folder() or self.results.parent
        return {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
                "TMPDIR": str(memory)}

    def alive(self):
        return not self._dead

    def _check_alive(self):
        if self._dead:
            raise GuestDied(f"{self.name} has ended\n{self.console_report()}")

    def kill(self):
        """Ends the guest at once, as a loss of power would."""
        if self._listener is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(TEARDOWN_TIMEOUT)
        self._listener.join(TEARDOWN_TIMEOUT)  # from here on alive() is false

    def poweroff(self, timeout=30):
        """Syncs and shuts the guest down in order."""
        self._send(poweroff=True)
        self._listener.join(timeout)
        late = self.alive()
        self.kill()
        if late:
            raise GuestTimeout(
                f"{self.name} did not power off within {timeout} s\n{self.console_report()}")

    def pause(self):
        """Freezes the whole machine; its clock runs on."""
        self._check_alive()
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: process_state(self.pid) in ("T", "Z", None), 5, "pause")

    def resume(self):
        self._check_alive()
        os.kill(self.pid, signal.SIGCONT)

    def link(self, up):
        """Plugs the network cable in or pulls it.

        At the bridge: a guest that writes to a tap that is down may lose its
        network for good.
        """
        host_command("bridge", "-n", self.net.name, "link", "set", "dev", self._tap,
                     "state", "forwarding" if up else "disabled")

    def console(self):
        """All the guest's kernel and init wrote."""
        try:
            return self._console.read_text(errors="replace")
        except OSError:
            return "(gone with its network)"

    def console_report(self):
        return f"--- end of {self.name}'s console ---\n{self.console()[-CONSOLE_TAIL:]}"

    # -- commands

    def spawn(self, cmd, input=None):
        """Starts a command (text for bash, or a list of words)."""
        words = cmd if isinstance(cmd, str) else [str(word) for word in cmd]
        job = Job(self, next(self._job_numbers), cmd)
        self._jobs[job._number] = job
        request = {"id": job._number, "cmd": words}
        if input:
            data = input.encode() if isinstance(input, str) else input
            request["input"] = base64.b64encode(data).decode()
        self._send(**request)
        return job

    def wait(self, job, timeout=30, check=False):
        return job.wait(timeout, check)

    def run(self, cmd, timeout=30, check=False, input=None):
        """Runs a command to its end: (status, stdout, stderr)."""
        return self.spawn(cmd, input).wait(timeout, check)

    def wait_until(self, cmd, timeout=10):
        """Repeats a command until it succeeds; returns its standard output."""
        last = []

        def succeeds():
            last[:] = [self.run(cmd, timeout)]
            return last[0].status == 0

        try:
            wait_until(succeeds, timeout, f"success of {cmd}")
        except GuestTimeout as error:
            raise GuestTimeout(f"{error}\n{last[0].stdout}{last[0].stderr}") from None
        return last[0].stdout

    def kernel_target(self, nqn, size=64 << 20, port=4420, block_size=512, address="0.0.0.0"):
        """Exports a RAM disk by the guest kernel's own NVMe/TCP target."""
        return KernelTarget(self, nqn, size, port, block_size, address)

    def _send(self, **request):
        """Hands the agent a request: a file, and its number on the line."""
        self._check_alive()
        number = next(self._request_numbers)
        file = self._requests / str(number)
        file.write_text(json.dumps(request), encoding="utf-8")
        file.chmod(0o644)
        try:
            self._line.sendall(b"%d\n" % number)
        except OSError:
            # the listener notices the death, and _check_alive() reports it
            with self._changed:
                self._changed.wait_for(lambda: self._dead, 5)
            self._check_alive()
            raise

    def _listen(self):
        """Takes the agent's frames until the guest's main process ends."""
        ended = os.pidfd_open(self.pid)
        unfinished = b""
        while True:
            readable, _, _ = select.select([self._line, ended], [], [])
            if self._line not in readable:
                break
            try:
                data = self._line.recv(1 << 20)
            except ConnectionResetError:
                data = b""
            if not data:
                break
            *lines, unfinished = (unfinished + data).split(b"\n")
            with self._changed:
                for line in lines:
                    self._receive(line)
                self._changed.notify_all()
        select.select([ended], [], [], TEARDOWN_TIMEOUT)
        os.close(ended)
        with self._changed:
            self._dead = True
            self._line.close()
            self._changed.notify_all()

    def _receive(self, line):
        try:
            frame = json.loads(line)
        except ValueError:
            return  # not the agent's: noise of a line not yet in raw mode
        if "ready" in frame:
            self._ready = True
        job = self._jobs.get(frame.get("id"))
        if job:
            job._receive(frame)
            if job.status is not None:
                del self._jobs[frame["id"]]


def pick_cpu(number):
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[-1 - number % len(cpus)]


def memory_folder():
    """Where a guest's memory file may lie: it must allow executable mappings."""
    shm = Path("/dev/shm")
    try:
        return None if os.statvfs(shm).f_flag & os.ST_NOEXEC else shm
    except OSError:
        return None


# --- the kernel's own target ------------------------------------------------

class KernelTarget:
    """A subsystem of the guest kernel's NVMe/TCP target over a RAM disk.

    nqn, address (of the guest), port; device: the RAM disk in the guest;
    subsystem: its configfs folder in the guest.
    """

    _numbers = itertools.count(1)

    def __init__(self, guest, nqn, size, port, block_size, address):
        if size % (1 << 20):
            raise ValueError("size: whole MiB only")
        self.guest = guest
        self.nqn = nqn
        self.port = port
        self.address = guest.address6 if ":" in address else guest.address
        self._disk = f"disk{next(self._numbers)}"
        self.device = f"/dev/{self._disk}"
        self.subsystem = f"/sys/kernel/config/nvmet/subsystems/{nqn}"
        self._ports = []
        self._make_disk(size >> 20, block_size)
        guest.run(f"""set -e
            mkdir '{self.subsystem}'
            cd '{self.subsystem}'
            echo 1 >attr_allow_any_host
            mkdir namespaces/1
            echo -n {self.device} >namespaces/1/device_path
            echo 1 >namespaces/1/enable""", check=True)
        self.add_port(port, address)

    def _make_disk(self, mib, block_size):
        self.guest.run(f"""set -e
            disk=/sys/kernel/config/nullb/{self._disk}
            mkdir $disk
            echo {mib} >$disk/size
            echo {block_size} >$disk/blocksize
            echo 1 >$disk/memory_backed
            echo 1 >$disk/discard
            echo 1 >$disk/power
            [ -b {self.device} ]""", check=True)

    def add_port(self, port, address="0.0.0.0"):
        """Makes it reachable at one more port of the guest."""
        family = "ipv6" if ":" in address else "ipv4"
        self.guest.run(f"""set -e
            port=/sys/kernel/config/nvmet/ports/{port}
            if mkdir $port 2>/dev/null; then
                echo tcp >$port/addr_trtype
                echo {family} >$port/addr_adrfam
                echo {address} >$port/addr_traddr
                echo {port} >$port/addr_trsvcid
            fi
            ln -s '{self.subsystem}' $port/subsystems/""", check=True)
        self._ports.append(port)

    def remove_port(self, port):
        """Stops serving it at that port; existing connections are cut."""
        self.guest.run(f"""set -e
            port=/sys/kernel/config/nvmet/ports/{port}
            rm "$port/subsystems/{self.nqn}"
            if [ -z "$(ls -A $port/subsystems)" ]; then rmdir $port; fi""", check=True)
        self._ports.remove(port)

    def ana_state(self, state, port=None):
        """optimized, non-optimized, inaccessible, persistent-loss or change.
        Holds for every subsystem at that port."""
        self.guest.run(f"echo {state} >/sys/kernel/config/nvmet/ports/{port or self.port}"
                       "/ana_groups/1/ana_state", check=True)

    def resize_notice(self):
        """Makes the target look at its device's size again."""
        self.guest.run(f"echo 1 >'{self.subsystem}/namespaces/1/revalidate_size'", check=True)

    def enable(self, on):
        """Attaches or detaches its namespace."""
        self.guest.run(f"echo {int(on)} >'{self.subsystem}/namespaces/1/enable'", check=True)

    def remove(self):
        for port in list(self._ports):
            self.remove_port(port)
        self.guest.run(f"""set -e
            rmdir '{self.subsystem}/namespaces/1' '{self.subsystem}'
            echo 0 >/sys/kernel/config/nullb/{self._disk}/power
            rmdir /sys/kernel/config/nullb/{self._disk}""", check=True)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "--janitor":
        sys.exit("guest.py is a module for tests: from guest import Network")
    janitor(sys.argv[2])
