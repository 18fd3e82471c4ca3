"""The t-SNE Explorer: a FastAPI server over one store, and the page that it serves.

``app`` puts it together, ``security`` guards it, ``routes_*`` are the handlers, ``models`` what
they take; the other modules are the services behind them, which know nothing of HTTP. The contract
between server and page is ``docs/explorer-api.md``.
"""

__all__ = ["app", "server"]
