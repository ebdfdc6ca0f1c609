"""A camera that sends a picture for each "snap", until "stop":
python3 camera.py frame.png
"""
import os
import sys

import requests
import websocket

picture = sys.argv[1]
server = os.environ.get("DARKROOM_SERVER", "http://127.0.0.1:5454")

socket = websocket.create_connection(os.environ.get("DARKROOM_WEBSOCKET", "ws://127.0.0.1:8080"))
socket.send("Ready for capture")
while (message := socket.recv()) != "Message: stop":
    if message == "Message: snap":
        with open(picture, "rb") as file:
            files = {"image": ("opencv_frame_0.png", file)}
            response = requests.put(f"{server}/snippets/1/", files=files, timeout=60)
        print(response.status_code, response.text, flush=True)
socket.close()
