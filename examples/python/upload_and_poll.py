"""Uploads a picture, polls until its task has ended, and saves it at half its size:
python3 upload_and_poll.py cat.jpg small.jpg
"""
import os
import sys
import time

import requests

picture, target = sys.argv[1:3]
server = os.environ.get("DARKROOM_SERVER", "http://127.0.0.1:5454")

with open(picture, "rb") as file:
    response = requests.post(f"{server}/upload", files={"image": file}, data={"scale_factor": "0.5"}, timeout=60)
response.raise_for_status()
task = response.json()

while task["status"] in ("pending", "processing"):
    time.sleep(0.2)
    task = requests.get(f"{server}/status/{task['task_id']}", timeout=60).json()
print(task["task_id"], task["status"], task["result"])

if task["result"] is None:
    sys.exit(1)
with open(target, "wb") as file:
    file.write(requests.get(server + task["result"], timeout=60).content)
