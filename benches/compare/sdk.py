"""The official Python SDK as its README has it, and what comes is written to stdout, one line a message. usage: sdk.py URL CHANNEL LINES

It hangs up behind the last one: at a close of the other side's, SDK 1.8.4 forgets up to 32 messages that have come before it.
"""

import sys
import threading

from coinbase.websocket import WSClient

url, channel, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
# Nothing is flushed before the end: that would cost more than the SDK.
out = open(1, "w", buffering=1 << 20, newline="\n")
done = threading.Event()


def write(message):
    global left
    out.write(message + "\n")
    left -= 1
    if left == 0:
        done.set()


client = WSClient(base_url=url, on_message=write, retry=False)
client.open()
client.subscribe(["BTC-USD"], ["heartbeats", channel])
done.wait()
client.close()
out.close()
