# SPDX-License-Identifier: Apache-2.0
"""Fail the n-th call of a real io-engine, from start-up over a volume's creation to its end.

Each run lets another call fail (nth_preload.c): memory, files, sockets, rings and what is put into
them. The engine must start or say in one sentence why not (exit code 1); while it serves, a request
that fails must say why, must succeed when it is repeated, and the engine must end in order.
NTH_STRIDE=1 tries every call, else every fifth, and which ones changes from day to day."""

import datetime
import os
import pathlib
import signal
import subprocess
import sys
import time

import grpc
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "engine"))

from engines import BUILD, free_port, pb  # noqa: E402

PRELOAD = BUILD / "tests/nth/libnth_preload.so"
STRIDE = int(os.environ.get("NTH_STRIDE", "5"))
OFFSET = datetime.date.today().toordinal() % STRIDE
MIB = 1 << 20
VOLUME = "e0000000-0000-4000-8000-0000000000ff"
POINTS_MIN = 150  # of a whole life; far fewer: the shim does not see the calls any more
CALL_SECONDS = 30


class Life:
    """One engine with one call that fails."""

    def __init__(self, folder, number, is_sticky):
        self.folder = folder / f"{'sticky' if is_sticky else 'once'}-{number}"
        self.folder.mkdir()
        self.report = self.folder / "report"
        self.log = self.folder / "log"
        self.port, target_port = free_port(), free_port()
        with open(self.folder / "disk", "wb") as disk:
            disk.truncate(16 * MIB)
        env = {**os.environ, "LD_PRELOAD": str(PRELOAD), "NTH_FAIL": str(number),
               "NTH_REPORT": str(self.report)}
        if is_sticky:
            env["NTH_STICKY"] = "1"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(BUILD / "src/engine/io-engine"), "-N", "nth", "--grpc-ip", "127.0.0.1",
                 "--grpc-port", str(self.port), "-T", "ip:127.0.0.1", "--tgt-port",
                 str(target_port), "--tgt-second-port", "0", "--state-dir",
                 str(self.folder / "state"), "--ptpl-dir", str(self.folder / "ptpl"),
                 "-F", "nocolor", *(["-l", "0,1"] if len(os.sched_getaffinity(0)) > 1 else [])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=self.folder)

    def text(self):
        return self.log.read_text(errors="replace")

    def failed(self):
        """What failed, "" for nothing."""
        lines = self.report.read_text().splitlines() if self.report.exists() else []
        return next((line for line in lines if line.startswith("failed ")), "")

    def call_count(self):
        lines = self.report.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("calls ")).split()[1])

    def serves(self):
        """Waits; False when it has ended instead."""
        deadline = time.monotonic() + CALL_SECONDS
        while "serving: " not in self.text():
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < deadline, "neither serves nor ends"
            time.sleep(0.005)
        return True

    def call(self, service, method, request, settled):
        """Once, and when that fails again, on a new connection each; @settled may answer then."""
        for attempt in range(60):
            options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
            with grpc.insecure_channel(f"127.0.0.1:{self.port}", options=options) as channel:
                try:
                    getattr(service(channel), method)(request, timeout=CALL_SECONDS)
                    return
                except grpc.RpcError as error:
                    if attempt > 0 and error.code() == settled:
                        return
                    assert error.details(), f"{method}: no reason"
                    assert self.process.poll() is None, f"{method}: the engine has died"
            assert self.failed(), f"{method} fails though nothing was made to fail"
            time.sleep(0.05)
        raise AssertionError(f"{method} does not succeed after the fault is over")

    def work(self):
        nexus, bdev, codes = pb.nexus.NexusRpcStub, pb.bdev.BdevRpcStub, grpc.StatusCode
        disk = f"aio://{self.folder}/disk?blk_size=512&uuid=c1000000-0000-4000-8000-000000000001"
        ram = "malloc:///ram?size_mb=16&blk_size=512&uuid=c1000000-0000-4000-8000-000000000002"
        more = "malloc:///more?size_mb=1&blk_size=512"
        self.call(bdev, "Create", pb.bdev.CreateBdevRequest(uri=more), codes.ALREADY_EXISTS)
        self.call(nexus, "CreateNexus", pb.nexus.CreateNexusRequest(
            name="volume", uuid=VOLUME, size=4 * MIB, minCntlId=1, maxCntlId=100,
            children=[disk, ram]), codes.ALREADY_EXISTS)
        self.call(nexus, "PublishNexus", pb.nexus.PublishNexusRequest(
            uuid=VOLUME, key="", share=pb.common.NVMF), codes.ALREADY_EXISTS)
        self.call(nexus, "UnpublishNexus", pb.nexus.UnpublishNexusRequest(uuid=VOLUME), None)
        self.call(nexus, "DestroyNexus", pb.nexus.DestroyNexusRequest(uuid=VOLUME),
                  codes.NOT_FOUND)
        self.call(bdev, "Destroy", pb.bdev.DestroyBdevRequest(uri=more), codes.NOT_FOUND)

    def live(self):
        """Return: what is wrong, "" for nothing."""
        try:
            if self.serves():
                self.work()
                self.process.send_signal(signal.SIGTERM)
                code = self.process.wait(CALL_SECONDS)
                return "" if code == 0 else f"exit code {code} after it had served"
            code = self.process.returncode
            last = (self.text().splitlines() or [""])[-1]
            if code not in (1, 2) or not last.startswith("io-engine: "):
                return f"exit code {code}, last words '{last}'"
            return "" if self.failed() else "does not start though nothing was made to fail"
        except AssertionError as error:
            return str(error)
        except subprocess.TimeoutExpired:
            return "does not end"
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


@pytest.mark.parametrize("is_sticky", [False, True], ids=["once", "sticky"])
def test_whatever_call_fails_the_engine_says_why_or_works(tmp_path, is_sticky):
    whole = Life(tmp_path, 0, is_sticky)
    assert whole.live() == ""
    assert whole.call_count() > POINTS_MIN
    number, failed, bad = 1 + OFFSET, 0, []
    while True:
        life = Life(tmp_path, number, is_sticky)
        reason = life.live()
        what = life.failed()
        if not what and not reason:
            break
        failed += 1
        if reason:
            bad.append(f"{what}: {reason}\n{life.report.read_text()}{life.text()[-800:]}")
        number += STRIDE
    print(f"nth: {failed} points failed, {len(bad)} bad")
    assert failed > POINTS_MIN / STRIDE
    assert not bad, "\n\n".join(bad[:5])
