"""Asks a web server again and again, as several clients that wait for each answer, until SIGTERM.

    ask_all_the_time.py ADDRESS PORT CLIENT...      CLIENT is an address to ask from

Then it prints a JSON object: how many answers had a verdict, and the answers that had none.
"""

import http.client
import json
import signal
import sys
import threading
import time


def ask(address, port, client, over, verdicts, others):
    while not over.is_set():
        try:
            connection = http.client.HTTPConnection(address, port, 30, (client, 0))
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            connection.close()
            if answer.getheader("ratelimit"):
                verdicts.append(answer.status)
            else:
                others.append(f"{time.strftime('%X')} {answer.status}")
        except (OSError, http.client.HTTPException) as error:
            others.append(f"{time.strftime('%X')} {error!r}")
        over.wait(0.02)


def main():
    address, port, *clients = sys.argv[1:]
    over, verdicts, others = threading.Event(), [], []
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    threads = [threading.Thread(target=ask, args=(address, int(port), client, over, verdicts, others))
               for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"verdicts": len(verdicts), "others": others}))


if __name__ == "__main__":
    main()
