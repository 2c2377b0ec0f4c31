"""Builds everything in order and closes it in reverse: the only package that names concrete classes.

lock, database, head file, writer      the record: nothing else is touched until it is sound
BLS, vault, ring, loader               the keys, loaded in the background
gate, signing, management, protection  operations
admin socket, metrics, network         edges, the network last

With `server.workers` above 1 so many worker processes serve the network, each built by `App.work`: the same gate and
the same operations, over a journal that relays to the main process, which keeps record, lock and keys.
"""

from signer.app.program import App

__all__ = ["App"]
