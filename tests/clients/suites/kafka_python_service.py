"""Stands in for the module `test.service`, which kafka-python's source package leaves out: the broker runs already."""


class ExternalService:
    """A broker that somebody else starts and stops."""

    def __init__(self, host, port):
        self.host, self.port = host, port

    def open(self):
        """It runs already."""

    def close(self):
        """It goes on."""

    stop = dump_logs = close


class SpawnedService:
    """Never used: no test may start a broker of its own."""

    def __init__(self, *args, **kwargs):
        raise RuntimeError("the broker is given by KAFKA_URI")
