"""Run the stack of a SAM template on this machine until Ctrl-C."""

import argparse
import os
import signal
import sys
import threading
from typing import NoReturn

from infra.local.aws import client, isolate_from_user
from infra.local.errors import LocalStackError
from infra.local.gateway import refuse_taken
from infra.local.options import Options, Ready
from infra.local.schedules import fire_schedules


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument(
        "--template", default="template.yaml", help="SAM template (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=int, default=5000, help="port of the HTTP API (default: %(default)s)"
    )
    parser.add_argument(
        "--aws-port", type=int, default=0, help="port of the AWS endpoint (default: any free one)"
    )
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="value of a template parameter",
    )
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME",
        help="variable to pass on to every function",
    )
    parser.add_argument(
        "--state-dir", metavar="DIR", help="keep buckets and logs here between runs"
    )
    parser.add_argument(
        "--fire-schedules", action="store_true", help="start every schedule's target once"
    )
    parser.add_argument("--verbose", action="store_true", help="print what the functions print")
    # LocalStack starts this program with it.
    parser.add_argument("--embedded", action="store_true", help=argparse.SUPPRESS)

    return parser.parse_args()


def _options(arguments: argparse.Namespace) -> Options:
    if arguments.embedded:
        return Options.from_json(sys.stdin.readline())
    for pair in arguments.parameter:
        if "=" not in pair:
            raise LocalStackError(f"--parameter {pair}: write NAME=VALUE")

    return Options(
        template=arguments.template,
        parameters=dict(pair.split("=", 1) for pair in arguments.parameter),
        port=arguments.port,
        aws_port=arguments.aws_port,
        state_dir=arguments.state_dir,
        environment={name: os.environ[name] for name in arguments.env if name in os.environ},
        verbose=arguments.verbose,
    )


def _prepare_environment() -> None:
    """Set the environment variables that moto and boto3 read, at import or later."""
    isolated = isolate_from_user()
    os.environ.clear()
    os.environ.update(isolated, VALIDATE_LAMBDA_S3="false", MOTO_DISABLE_GLOBAL_CORS="true")


def _when_to_end(embedded: bool) -> threading.Event:
    """Return an event that Ctrl-C, SIGTERM and, if embedded, the end of standard input set."""
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())

    def watch() -> None:
        while sys.stdin.readline():
            pass
        end.set()

    if embedded:
        threading.Thread(target=watch, daemon=True).start()
    return end


def _print(ready: Ready) -> None:
    print(f"HTTP API      {ready.api_url}")
    print(f"AWS endpoint  {ready.aws_url}   (AWS_ENDPOINT_URL)")
    print(f"logs          {ready.log_dir}")
    for name, value in sorted(ready.outputs.items()):
        print(f"  {name} = {value}")
    print("Ctrl-C ends it.", flush=True)


def _exit(status: int) -> NoReturn:
    """Exit without waiting for threads: moto's may wait for workers that are gone."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> NoReturn:
    """Run the stack until it is asked to end; exit with 2 if it cannot start."""
    arguments = _arguments()
    emulator = None
    status = 0
    try:
        options = _options(arguments)
        end = _when_to_end(arguments.embedded)
        refuse_taken(options.port)  # now, not after the seconds that moto takes
        _prepare_environment()

        from infra.local.emulator import Emulator  # moto takes seconds, and reads the environment

        emulator = Emulator(options)
        ready = emulator.start()

        if arguments.embedded:
            print(ready.to_json(), flush=True)
        else:
            _print(ready)

        if arguments.fire_schedules:
            fired = fire_schedules(lambda service: client(service, ready.aws_url))
            print(f"fired: {', '.join(fired) or 'no schedule is deployed'}", flush=True)

        end.wait()
    except LocalStackError as error:
        print(error, file=sys.stderr)
        status = 2
    finally:
        if emulator is not None:
            emulator.close()
    _exit(status)


if __name__ == "__main__":
    main()
