"""Have a command carried out by `ready.py`, at an address: `order.py ADDRESS WORD...`."""

from __future__ import annotations

import json
import os
import socket
import sys

if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"\0{sys.argv[1]}")
        environment = dict(os.environ)  # noqa: TID251 - handed on as it is
        order = {"words": sys.argv[2:], "folder": os.getcwd(), "environment": environment}  # noqa: PTH109 - pathlib is slow to import
        content = json.dumps(order).encode()
        socket.send_fds(connection, [len(content).to_bytes(8)], [0, 1, 2])
        connection.sendall(content)
        code = connection.recv(1)
    sys.exit(code[0] if code else 1)
