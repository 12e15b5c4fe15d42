"""ort_server: the server that `tests/bench/run served` compares with, the size that a team would write for itself.

grpc.aio (grpcio's C core) speaks modeld.v1's Predict on token ids; requests wait for one another in a batch that is
padded to its longest and run by ONNX Runtime on threads, which release the interpreter's lock.
usage: ort_server.py MODEL DESCRIPTORS PORT_FILE [--max-batch N] [--delay-ms N] [--workers N] [--threads N]
"""
import argparse
import asyncio
import concurrent.futures
import os
import pathlib

import grpc
import numpy as np
import onnxruntime
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def messages(path):
    files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(path).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"modeld.v1.{name}"))
            for name in ("PredictRequest", "PredictResponse")]


class Batcher:
    def __init__(self, options):
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = options.threads, 1
        self.session = onnxruntime.InferenceSession(options.model, settings, providers=["CPUExecutionProvider"])
        self.names = [value.name for value in self.session.get_inputs()]
        self.options, self.queue = options, asyncio.Queue()
        self.threads = concurrent.futures.ThreadPoolExecutor(options.workers)

    async def predict(self, feed):
        answer = asyncio.get_running_loop().create_future()
        await self.queue.put((feed, answer))
        return await answer

    async def gather(self):
        batch = [await self.queue.get()]
        loop = asyncio.get_running_loop()
        end = loop.time() + self.options.delay_ms / 1000
        while len(batch) < self.options.max_batch:
            try:
                batch.append(self.queue.get_nowait())
            except asyncio.QueueEmpty:
                if (left := end - loop.time()) <= 0:
                    break
                try:
                    batch.append(await asyncio.wait_for(self.queue.get(), left))
                except asyncio.TimeoutError:
                    break
        return batch

    def run(self, feeds):
        longest = max(feed[self.names[0]].shape[1] for feed in feeds)
        padded = {name: np.zeros((len(feeds), longest), np.int64) for name in self.names}
        for i, feed in enumerate(feeds):
            for name in self.names:
                padded[name][i, :feed[name].shape[1]] = feed[name]
        return self.session.run(None, padded)[0]

    async def work(self):
        loop = asyncio.get_running_loop()
        while True:
            batch = await self.gather()
            logits = await loop.run_in_executor(self.threads, self.run, [feed for feed, _ in batch])
            for (_, answer), row in zip(batch, logits):
                if not answer.done():
                    answer.set_result(row)


async def serve(options):
    request_type, response_type = messages(options.descriptors)
    batcher = Batcher(options)
    workers = [asyncio.create_task(batcher.work()) for _ in range(options.workers)]

    async def predict(request, _):
        feed = {tensor.name: np.frombuffer(tensor.contents, np.int64).reshape(tensor.shape)
                for tensor in request.inputs}
        row = await batcher.predict(feed)
        answer = response_type(model=request.model, version=1)
        answer.outputs.add(name="logits", datatype="FP32", shape=[1, len(row)], contents=row.tobytes())
        return answer

    handler = grpc.unary_unary_rpc_method_handler(predict, request_deserializer=request_type.FromString,
                                                  response_serializer=response_type.SerializeToString)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("modeld.v1.ModelService",
                                                                          {"Predict": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    partial = options.port_file + ".part"
    pathlib.Path(partial).write_text(str(port))
    os.rename(partial, options.port_file)
    await asyncio.gather(*workers)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("descriptors")
    parser.add_argument("port_file")
    for name in ("max-batch", "workers", "threads"):
        parser.add_argument(f"--{name}", type=int, default=1)
    parser.add_argument("--delay-ms", type=float, default=0)
    asyncio.run(serve(parser.parse_args()))


main()
