"""A `spendlake serve` process of our own."""

import http.client
import json
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType

from access import ENVIRONMENT

# The peers ask nobody for a token either.
LISTEN = ["--listen=127.0.0.1:0", "--insecure-anonymous=true"]
START_SECONDS_MAX = 300
STOP_SECONDS_MAX = 300


def command(binary: Path, data_dir: Path, *arguments: str) -> list[str]:
    """A command line under default settings, whatever the folder or the
    environment say."""
    defaults = data_dir.parent / "defaults.toml"
    defaults.touch()
    return [str(binary), *arguments, f"--config={defaults}", f"--data-dir={data_dir}"]


def environment() -> dict[str, str]:
    """Ours without the server's settings, and with the token that we show."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SPENDLAKE_")}
    return ours | ENVIRONMENT


class Server:
    """Serves one data directory on a free loopback port while the `with` block
    runs; `ready_seconds` says how long it took to be ready."""

    def __init__(self, binary: Path, data_dir: Path, settings: dict[str, int] | None = None):
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in (settings or {}).items()]
        self._command = command(binary, data_dir, "serve", *LISTEN, *flags)
        self._data_dir = data_dir
        self.address = ""
        self.ready_seconds = 0.0

    def __enter__(self) -> "Server":
        started = time.perf_counter()
        # The log goes to a file, where a failed run can be looked into.
        with open(f"{self._data_dir}.log", "ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment()
            )
        try:
            self._wait_until_ready(started + START_SECONDS_MAX)
        except BaseException:
            self.kill()
            raise
        self.ready_seconds = time.perf_counter() - started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def kill(self) -> None:
        """`kill -9`, and waits until the process is gone."""
        self._process.kill()
        self._process.wait()

    def memory_bytes(self) -> tuple[int, int]:
        """Resident memory now, and the most that it ever was."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        resident, peak = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
        return resident, peak

    def _wait_until_ready(self, deadline: float) -> None:
        while not (self.address and self._is_ready()):
            self.address = self.address or self._announced_address()
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended while starting; see {self._data_dir}.log")
            if time.perf_counter() > deadline:
                raise RuntimeError(f"the server is not ready after {START_SECONDS_MAX} s")
            time.sleep(0.02)

    def _announced_address(self) -> str:
        """Where our process says that it serves; empty before it did."""
        try:
            holder = json.loads((self._data_dir / "serving.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return ""
        ours = holder.get("process") == self._process.pid
        return (holder.get("address") or "") if ours else ""

    def _is_ready(self) -> bool:
        try:
            connection = http.client.HTTPConnection(self.address, timeout=5)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
