"""Sends a picture, watches the task and saves the result: python submit_and_watch.py cat.jpg half.jpg

grpc makes the stubs from the .proto file when it is imported (grpcio-tools must be installed). To make them once
instead: python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. darkroom/v1/darkroom.proto
"""

import os
import sys
from pathlib import Path

import grpc

sys.path.append(str(Path(__file__).resolve().parents[2] / "proto"))
darkroom, services = grpc.protos_and_services("darkroom/v1/darkroom.proto")

CHUNK = 256 * 1024
server = os.environ.get("DARKROOM_GRPC", "127.0.0.1:50051")
source = Path(sys.argv[1] if len(sys.argv) > 1 else "cat.jpg")
target = Path(sys.argv[2] if len(sys.argv) > 2 else "half.jpg")


def requests():
    """The options first, then the picture in chunks."""
    yield darkroom.SubmitRequest(
        options=darkroom.SubmitOptions(
            filename=source.name,
            resize=darkroom.Resize(scale_factor=0.5),
            classify=darkroom.Classify(top_k=1),
        )
    )
    with source.open("rb") as picture:
        while chunk := picture.read(CHUNK):
            yield darkroom.SubmitRequest(chunk=chunk)


with grpc.insecure_channel(server) as channel:
    stub = services.DarkroomStub(channel)
    try:
        task = stub.Submit(requests())
        for task in stub.Watch(darkroom.WatchRequest(task_id=task.task_id)):
            print(f"{task.task_id}  {darkroom.TaskStatus.Name(task.status).removeprefix('TASK_STATUS_').lower()}")
        for output in task.outputs:
            outcome = output.WhichOneof("outcome")
            if outcome == "picture":
                print(f"{output.name}  {output.picture.width}×{output.picture.height}")
            elif outcome == "labels":
                print(f"{output.name}  {output.labels.labels[0].label}")
            else:
                print(f"{output.name}  {output.error.message}")
        with target.open("wb") as saved:
            for part in stub.Result(darkroom.ResultRequest(task_id=task.task_id)):
                saved.write(part.chunk)
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")

print(f"saved {target}")
