"""What the figures were measured on."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path


def machine() -> dict[str, str | int | float]:
    """Processor, cores, memory and kernel, and what else kept it busy."""
    cpu = _field(Path("/proc/cpuinfo"), "model name") or platform.machine()
    memory = _field(Path("/proc/meminfo"), "MemTotal").removesuffix(" kB")
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int(memory) * 1024,
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions(binary: Path) -> dict[str, str]:
    """Of everything that was measured."""
    ours = subprocess.check_output([binary, "--version"], text=True).split()[-1]
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent
    ).stdout.strip()
    return {
        "Spendlake": f"{ours} ({commit})" if commit else ours,
        "DuckDB": version("duckdb"),
        "chDB": version("chdb"),
        "Python": platform.python_version(),
    }


def _field(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
