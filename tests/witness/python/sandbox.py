"""Where the sandbox is, and how it is made to misbehave."""

import json
import os
import urllib.error
import urllib.request
import uuid

with open(os.environ["SBM_TEST_SANDBOX"], encoding="utf-8") as file:
    SANDBOX = json.load(file)

CERTIFICATE = SANDBOX["certificate"]
TENANT = SANDBOX["tenant"]
CLIENT = SANDBOX["client"]
SECRET = SANDBOX["client_secret"]
AUTHORITY = SANDBOX["entra"]
# What every client of azure-identity has to be told to believe an authority that Microsoft does not know.
TRUST = {"authority": AUTHORITY, "disable_instance_discovery": True, "connection_verify": CERTIFICATE}


def unique(prefix):
    """A name that no other check uses."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def call(method, url, body=None):
    """Asks the control API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def counters():
    """How often things have happened."""
    return call("GET", SANDBOX["counters"])


def application(**settings):
    """An application of its own, for a check that wants other rights or shorter tokens than the usual."""
    return call("POST", f"{SANDBOX['faults']}/applications", settings)


def disturb(**what):
    """Lets Service Bus and Event Hubs misbehave."""
    call("POST", f"{SANDBOX['faults']}/broker", what)


class Fault:
    """A fault of an HTTP service, for as long as the block lasts."""

    def __init__(self, service, **what):
        self.fault = {"service": service, **what}

    def __enter__(self):
        self.number = call("POST", f"{SANDBOX['faults']}/http", self.fault)["number"]

    def __exit__(self, *_):
        try:
            call("DELETE", f"{SANDBOX['faults']}/{self.number}")
        except urllib.error.HTTPError as error:
            # It has been used up.
            if error.code != 404:
                raise
