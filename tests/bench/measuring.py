"""Describes the machine and the process that a benchmark runs on."""

import os
import platform
import resource
import sys
from pathlib import Path


def machine() -> str:
    """Cores, processor, load and Python, in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.processor() or platform.machine()
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {model}, load {load:.1f}, Python {platform.python_version()}"


def peak_mib() -> float:
    """Peak resident memory of this process so far, MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def cpu_seconds() -> float:
    """Processor time of this process so far: what a busy machine distorts least."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
