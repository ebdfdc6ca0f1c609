"""Labels the pictures at the URLs of a CSV file: python3 classify_urls.py urls.csv"""
import csv
import os
import sys

import zmq

with open(sys.argv[1], newline="") as file:
    urls = [row[0] for row in csv.reader(file) if row and "://" in row[0]]

context = zmq.Context()
subscriber = context.socket(zmq.SUB)
subscriber.connect(os.environ.get("DARKROOM_ZEROMQ_PUB", "tcp://127.0.0.1:5556"))
subscriber.setsockopt_string(zmq.SUBSCRIBE, "")

requester = context.socket(zmq.REQ)
requester.connect(os.environ.get("DARKROOM_ZEROMQ", "tcp://127.0.0.1:5555"))
requester.send_json({"urls": urls})
reply = requester.recv_json()
if reply["status"] != "received":
    sys.exit(reply["message"])

for _ in range(reply["num_urls"]):
    result = subscriber.recv_json()
    print(result["url"], result.get("class") or result["error"], sep="  ", flush=True)
