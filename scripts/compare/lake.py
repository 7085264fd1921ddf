"""The stored files, read as any Delta reader would."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable


@dataclass(frozen=True)
class Files:
    """The active files of one table version."""

    version: int
    paths: list[Path]
    rows: int
    """Rows of all files."""
    bytes: int
    """Bytes of all files on disk."""


def active_files(data_dir: Path, table: str = "usage_events") -> Files:
    """The files that the latest version of `table` consists of."""
    root = data_dir / "lake" / table
    delta = DeltaTable(str(root))
    actions = pa.table(delta.get_add_actions(flatten=True)).select(["path", "num_records"])
    paths = [root / path for path in actions["path"].to_pylist()]
    return Files(
        version=delta.version(),
        paths=sorted(paths),
        rows=sum(actions["num_records"].to_pylist()),
        bytes=sum(path.stat().st_size for path in paths),
    )


def link_files(files: Files, folder: Path) -> Path:
    """Hard links to the active files alone, one folder a date, so that engines
    which know nothing of Delta read exactly them. Returns `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in files.paths:
        partition = folder / path.parent.name
        partition.mkdir(parents=True, exist_ok=True)
        os.link(path, partition / path.name)
    return folder


def folder_bytes(folder: Path) -> int:
    """Bytes of every file below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
