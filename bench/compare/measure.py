"""What the kernel says of processes: CPU time, memory, system calls; and of everybody else's CPU time."""

import os
import re
import resource
import shutil
import subprocess
import time


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def family(pid):
    """The process and all its descendants."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parent = int(read("/proc/%s/stat" % name).rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(name))
            except OSError:
                pass
    found, ahead = [], [pid]
    while ahead:
        found.append(ahead.pop())
        ahead += children.get(found[-1], [])
    return found


def cpu_seconds(pids):
    """CPU time of all threads of the processes: nanoseconds of the scheduler's own count."""
    total = 0
    for pid in pids:
        for thread in os.listdir("/proc/%d/task" % pid):
            try:
                total += int(read("/proc/%d/task/%s/schedstat" % (pid, thread)).split()[0])
            except OSError:
                pass
    return total / 1e9


def anonymous_bytes(pids):
    return sum(int(re.search(r"RssAnon:\s+(\d+)", read("/proc/%d/status" % pid)).group(1)) * 1024 for pid in pids)


def idle_seconds():
    """Time in which cores had nothing to do. The kernel counts it to the microsecond. What else /proc/stat tells it
    samples at each tick, and a load that has a rhythm of its own meets the tick always or never."""
    idle, iowait = map(int, read("/proc/stat").split("\n")[0].split()[4:6])
    return (idle + iowait) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    """CPU time of this process, and of the loads that it has run."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (
        resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


class Window:
    """CPU time of `pids` between enter and exit; `foreign`: the share of the machine that others used. That is all time
    in which a core was neither idle nor worked for a process of ours: others, what the hypervisor took, and interrupts
    that met an idle core, be they due to our load (4 % of two cores in the open loop at 5,000/s)."""

    def __init__(self, pids, beside):
        self.pids, self.beside = pids, beside

    def __enter__(self):
        self.begun, self.idle = time.monotonic(), idle_seconds()
        self.ours = cpu_seconds(self.beside) + own_seconds()
        self.cpu = cpu_seconds(self.pids)
        return self

    def __exit__(self, *_):
        self.cpu = cpu_seconds(self.pids) - self.cpu
        ours = self.cpu + cpu_seconds(self.beside) + own_seconds() - self.ours
        capacity = (time.monotonic() - self.begun) * os.cpu_count()
        self.foreign = max(0.0, capacity - (idle_seconds() - self.idle) - ours) / capacity


def system_calls(pids, run):
    """-> system calls that the processes made while `run()` ran. None without a tool that counts them."""
    if shutil.which("perf"):
        command = ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", ",".join(map(str, pids))]
        watcher = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(0.3)  # it does not say when it has attached
        run()
        watcher.send_signal(2)
        count = watcher.communicate()[1].split(",")[0]
        return int(count) if count.isdigit() else None
    return None
