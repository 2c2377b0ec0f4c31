"""The least an aiohttp server can do: read a body, answer a line. The limit of the framework on this machine."""

import sys

import uvloop
from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    """Read the body, say yes."""
    await request.read()
    return web.Response(body=b'{"signature":"0x"}', content_type="application/json")


def main() -> None:
    """Serve on the loopback port given as the first argument."""
    uvloop.install()
    application = web.Application(client_max_size=1 << 24)
    application.router.add_route("*", "/{path:.*}", answer)
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)


if __name__ == "__main__":
    main()
