"""A state machine without AWS: it keeps what was started, with which input, and its status."""

import threading

from b3shared.core.errors import ConflictError
from b3shared.runs.state_machine import Execution, StateMachine


class FakeMachine(StateMachine):
    """Stands in for :class:`StateMachine`; the same name and input are started once, as on AWS.

    Args:
        work: called with an execution's input when it starts; returns the status it ends with.
            None: it stays RUNNING.
    """

    def __init__(self, work=None):
        super().__init__("arn:aws:states:sa-east-1:1:stateMachine:fake")
        self.work = work
        self.inputs: dict[str, dict] = {}
        self.statuses: dict[str, str] = {}
        self._lock = threading.Lock()

    def start(self, name, given):
        with self._lock:
            if name in self.inputs:
                if (self.inputs[name], self.statuses[name]) == (given, "RUNNING"):
                    return Execution(name, name, "RUNNING")
                raise ConflictError(f"execution {name} exists already")
            self.inputs[name] = given
            self.statuses[name] = "RUNNING"
        if self.work:
            self.statuses[name] = self.work(given)
        return Execution(name, name, "RUNNING")

    def find(self, name):
        return Execution(name, name, self.statuses[name]) if name in self.statuses else None

    def status(self, execution):
        return self.find(execution.name)

    def running(self):
        yield from [
            Execution(name, name, status)
            for name, status in self.statuses.items()
            if status == "RUNNING"
        ]

    def end(self, name, status="SUCCEEDED"):
        self.statuses[name] = status
