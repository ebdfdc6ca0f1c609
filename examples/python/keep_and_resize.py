"""Sends a picture to keep and gets it in another size: python3 keep_and_resize.py cat.jpg 200 100 small.png"""
import base64
import os
import sys

import zmq

file, width, height, output = sys.argv[1:5]

context = zmq.Context()
requester = context.socket(zmq.REQ)
requester.connect(os.environ.get("DARKROOM_ZEROMQ", "tcp://127.0.0.1:5555"))


def ask(request):
    requester.send_json(request)
    reply = requester.recv_json()
    if reply["status"] != "success":
        sys.exit(reply["message"])
    return reply


with open(file, "rb") as picture:
    image_data = base64.b64encode(picture.read()).decode()
image_id = ask({"operation": "upload", "image_data": image_data})["image_id"]
print("kept as", image_id)
original = ask({"operation": "retrieve", "image_id": image_id})
print(len(base64.b64decode(original["image_data"])), "bytes come back")
resized = ask({"operation": "resize", "image_id": image_id, "width": int(width), "height": int(height)})
with open(output, "wb") as picture:
    picture.write(base64.b64decode(resized["image_data"]))
print(f"{width}×{height} pixels in {output}")
