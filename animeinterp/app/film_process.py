"""One film in a process of its own: `animeinterp video … --json`, whose lines are read as progress.

The process is the command line itself, so that the page and the terminal make the same film in the same way, and a
film that was stopped here can be resumed there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from animeinterp.errors import AnimeInterpError

_ERROR = "error: "


class FilmProcess:
    """A running `animeinterp video`."""

    def __init__(self, source: Path, target: Path, arguments: Sequence[str]) -> None:
        """Start it.

        Args:
            source: The film.
            target: The file to make.
            arguments: Further options of the command.
        """
        self.stopped = False
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 (closed in progress)
        # -P: modules of the current folder are not imported. The names follow `--`, so that none becomes an option.
        call = [
            sys.executable,
            "-P",
            "-m",
            "animeinterp",
            "video",
            *arguments,
            "--json",
            "-o",
            str(target),
            "--",
            str(source),
        ]
        self._process = subprocess.Popen(
            call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log, encoding="utf-8", errors="replace"
        )

    def progress(self) -> Iterator[dict[str, Any]]:
        """Yield the progress, see `animeinterp.video.progress`, until the film is finished or stopped.

        Raises:
            AnimeInterpError: The film cannot be made; with the command's own message.
        """
        assert self._process.stdout is not None
        with self._log, self._process.stdout as lines:
            for line in lines:
                try:
                    values = json.loads(line)
                except ValueError:
                    continue
                if isinstance(values, dict) and "total" in values:
                    yield values
            code = self._process.wait()
            if code and not self.stopped:
                self._log.seek(0)
                errors = [text for text in self._log.read().splitlines() if text.startswith(_ERROR)]
                reason = errors[-1].removeprefix(_ERROR) if errors else f"the process ended with code {code}"
                raise AnimeInterpError(reason)

    def stop(self) -> None:
        """Ask it to stop; what is finished stays beside the target."""
        self.stopped = True
        self._process.terminate()

    def close(self) -> None:
        """Stop it and wait, at the latest for some seconds."""
        if self._process.poll() is None:
            self.stop()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
