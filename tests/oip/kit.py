"""The conformance kit's entry: finds or starts the server, runs every case of cases.py, prints the score."""
import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
import traceback

import models


@contextlib.contextmanager
def started_server():
    with tempfile.TemporaryDirectory(prefix="oip_kit_") as folder:
        repository, port_file = os.path.join(folder, "models"), os.path.join(folder, "port")
        models.make(repository)
        with open(os.path.join(folder, "log"), "wb") as log:
            process = subprocess.Popen([os.environ["MODELD"], "--listen", "127.0.0.1:0", "--repository", repository,
                                        "--registry", os.path.join(folder, "registry.db"), "--port-file", port_file],
                                       stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 30
            while not os.path.exists(port_file) or not open(port_file, encoding="ascii").read().endswith("\n"):
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("the server did not start:\n" + open(os.path.join(folder, "log"), encoding="utf-8").read())
                time.sleep(0.02)
            yield "127.0.0.1:" + open(port_file, encoding="ascii").read().strip()
        finally:
            process.terminate()
            if (code := process.wait(30)) != 0:
                sys.exit(f"the server ended with {code}:\n" + open(os.path.join(folder, "log"), encoding="utf-8").read()[-4000:])


def run(address, words):
    import cases  # after the arguments: it imports grpc
    kit, failed, passed = cases.Kit(address), 0, 0
    for name, case in cases.CASES:
        if words and not any(word in name for word in words):
            continue
        try:
            case(kit)
            passed += 1
            print("ok    ", name)
        except Exception as problem:  # whatever went wrong is the case's failure
            failed += 1
            where = traceback.extract_tb(problem.__traceback__)[-1]
            print("FAILED", name, f"\n       {type(problem).__name__}: {str(problem)[:600]} ({where.name}:{where.lineno})")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address", nargs="?", help="HOST:PORT of a server; none: start modeld")
    parser.add_argument("--models", metavar="FOLDER", help="only write the models there")
    parser.add_argument("-k", action="append", dest="words", help="only cases with this word in their name")
    arguments = parser.parse_args()
    if arguments.models:
        models.make(arguments.models)
        return 0
    with contextlib.nullcontext(arguments.address) if arguments.address else started_server() as address:
        return run(address, arguments.words)


if __name__ == "__main__":
    sys.exit(main())
