"""Cuts a circle out of a picture on the server's disk: python circle.py /pictures/cat.jpg 200

grpc makes the stubs from the .proto file when it is imported (grpcio-tools must be installed). To make them once
instead: python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. service.proto
"""

import os
import sys
from pathlib import Path

import grpc

sys.path.append(str(Path(__file__).resolve().parents[2] / "proto"))
service_pb2, service_pb2_grpc = grpc.protos_and_services("service.proto")

server = os.environ.get("DARKROOM_GRPC", "127.0.0.1:50051")
path = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "cat.jpg")
size = int(sys.argv[2]) if len(sys.argv) > 2 else 256

with grpc.insecure_channel(server) as channel:
    stub = service_pb2_grpc.ImageProcessorStub(channel)
    try:
        answer = stub.ProcessImage(service_pb2.Request(path=path, size=size), timeout=60)
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")

if not answer.status:
    sys.exit("no picture" if answer.path else "no such file")
print(f"{answer.path} has {answer.size}×{answer.size} pixels")
