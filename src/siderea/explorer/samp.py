"""Tables sent to other programs of the same desk, TOPCAT and Aladin, by the SAMP protocol."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

from siderea.explorer.refusals import NotNowError

__all__ = ["Outbox", "samp_module"]


def samp_module() -> ModuleType:
    """Return the SAMP client: pyvo's where it is installed, else astropy's, which it came from."""
    try:
        from pyvo import samp  # type: ignore[import-not-found]
    except ImportError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy 8 gives it up in favour of pyvo
            from astropy import samp
    return samp  # type: ignore[no-any-return]


class Outbox:
    """Tables on their way; the files go with it.

    Parameters
    ----------
    name : str
        How the sender calls itself.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = tempfile.TemporaryDirectory(prefix="siderea-samp-")
        self._number = 0

    def send(self, content: bytes, title: str) -> int:
        """Offer a VOTable to every program that takes tables; return how many do.

        Parameters
        ----------
        content : bytes
        title : str
            How the table is called there.

        Raises
        ------
        NotNowError
            If no hub runs.
        """
        samp = samp_module()
        self._number += 1
        path = Path(self._folder.name) / f"selection_{self._number}.vot"
        path.write_bytes(content)
        client = samp.SAMPIntegratedClient(
            name=self.name, description="a selection of spectra", callable=False
        )
        try:
            client.connect()
        except Exception as error:  # no hub, or one that does not answer: many kinds
            path.unlink()
            raise NotNowError("no SAMP hub answers: start TOPCAT or Aladin, then send") from error
        try:
            return self._offer(client, path, title)
        finally:
            client.disconnect()

    def _offer(self, client: Any, path: Path, title: str) -> int:
        takers = client.get_subscribed_clients("table.load.votable")
        message = {
            "samp.mtype": "table.load.votable",
            "samp.params": {"url": path.as_uri(), "table-id": path.stem, "name": title},
        }
        client.notify_all(message)
        return len(takers)

    def close(self) -> None:
        """Delete the files."""
        self._folder.cleanup()
