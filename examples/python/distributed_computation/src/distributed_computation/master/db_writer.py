"""The only writer of the database."""

import sqlite3

SCHEMA = """
CREATE TABLE hosts (
  host TEXT PRIMARY KEY,
  status TEXT
);
"""


class DbWriter:
    def __init__(self, path: str) -> None:
        self.connection = sqlite3.connect(path)
        if not self.connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'hosts'").fetchone():
            self.connection.executescript(SCHEMA)

    def write_batch(self, rows: list[tuple[str, str]]) -> None:
        with self.connection:
            self.connection.executemany("INSERT OR REPLACE INTO hosts VALUES (?, ?)", rows)

    def close(self) -> None:
        self.connection.close()
