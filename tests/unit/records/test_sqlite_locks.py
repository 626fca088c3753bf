"""The locks of a process on its SQLite file outlast new connections."""

import sqlite3
import subprocess
import sys
from pathlib import Path

from service.records.engines import _prepare_file

READ = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM t').fetchall(); c.close()"


def test_another_process_leaves_the_log_alone_while_this_one_uses_it(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    _prepare_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    mine = sqlite3.connect(path)
    try:
        mine.execute("PRAGMA journal_mode=WAL")
        mine.execute("CREATE TABLE t (x)")
        mine.execute("INSERT INTO t VALUES (1)")
        mine.commit()
        _prepare_file(path)  # as a further connection of the pool does
        subprocess.run([sys.executable, "-c", READ, path], check=True)
        assert path.with_name("records.db-wal").exists()
    finally:
        mine.close()
