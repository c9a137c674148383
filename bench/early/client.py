"""Sends POSTs one after another over a kept connection and prints how many got no answer, and how many another one.

Arguments: url status count bytes pieces chunked expect. It sends a whole body before it reads the answer, as http.client does.
"""

import http.client
import sys
import time
from urllib.parse import urlsplit

url, status, count, size, parts = sys.argv[1], *map(int, sys.argv[2:6])
chunked = sys.argv[6] == "true"
target = urlsplit(url)


def body():
    for _ in range(parts):
        if parts > 1:
            time.sleep(0.002)
        yield b"x" * (size // parts)


failed = wrong = 0
connection = http.client.HTTPConnection(target.hostname, target.port, timeout=20)
for _ in range(count):
    try:
        headers = {} if chunked else {"Content-Length": str(size)}
        connection.request("POST", target.path, body(), headers, encode_chunked=chunked)
        answer = connection.getresponse()
        answer.read()
        if answer.status != status:
            wrong += 1
    except (OSError, http.client.HTTPException):
        failed += 1
        connection.close()
print(failed, wrong)
