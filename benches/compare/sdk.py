"""The official Python SDK as its README has it: what comes is written, one line a message, to stdout. usage: sdk.py URL CHANNEL"""

import sys

from coinbase.websocket import WSClient

url, channel = sys.argv[1:]
# No line is flushed by itself: that would cost more than the SDK.
out = open(1, "w", buffering=1 << 20, newline="\n")
client = WSClient(base_url=url, on_message=lambda message: out.write(message + "\n"), retry=False)
client.open()
client.subscribe(["BTC-USD"], ["heartbeats", channel])
try:
    client.run_forever_with_exception_check()
except Exception as closed:
    print(closed, file=sys.stderr)
out.close()
