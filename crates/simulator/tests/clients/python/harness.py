"""What every suite of cases shares: the client, the simulator's own routes, and how results are told.

Standard output is for the Rust test that started us: a line of JSON for each case, `{"case", "ok", "error"?}`, and
`{"done", "failed"}` as the last. Whatever does not end with that line has failed.
"""

import json
import os
import sys
import time
import traceback
import urllib.request

import stripe


def setting(name):
    """A setting that the Rust test gives; without it nothing here can be right."""
    value = os.environ.get(name)
    if not value:
        raise SystemExit(f"{name} is not set: these scripts are started by the simulator's tests")
    return value


base = setting("SIMULATOR_URL")
key = setting("SIMULATOR_KEY")
live_key = setting("SIMULATOR_LIVE_KEY")


def client(secret=key, **more):
    """The official client as a user makes it, but for the address."""
    addresses = {name: base for name in ("api", "connect", "files", "meter_events")}
    return stripe.StripeClient(secret, base_addresses=addresses, max_network_retries=2, **more)


def control(method, path, body=None):
    """Steers the simulator: `/_sim/…`."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{base}/_sim/{path}", data=data, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer)


def fault(call, times=1, **what):
    """What goes wrong with the next calls of a name such as `POST /v1/customers`."""
    return control("POST", "faults", {"call": call, "times": times, **what})


def calls(name):
    """How often a call was executed or refused so far."""
    return control("GET", "stats")["calls"].get(name, 0)


def refused(run):
    """The error that something must end with."""
    try:
        value = run()
    except stripe.StripeError as error:
        return error
    raise AssertionError(f"this must be refused and was not: {str(value)[:200]}")


def until(what, look):
    """Looks until something is there, within reason."""
    for _ in range(1000):
        found = look()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"never came: {what}")


def equal(found, expected):
    """Fails with both sides shown."""
    if found != expected:
        raise AssertionError(f"found {found!r}, expected {expected!r}")


_cases = []


def case(name):
    """Adds a case. Its name says what a user gets."""

    def add(run):
        _cases.append((name, run))
        return run

    return add


def run():
    """Runs all cases one after the other and tells how each went."""
    failed = 0
    for name, body in _cases:
        try:
            body()
            told = {"case": name, "ok": True}
        except Exception:
            failed += 1
            told = {"case": name, "ok": False, "error": traceback.format_exc()[-4000:]}
        print(json.dumps(told), flush=True)
    print(json.dumps({"done": len(_cases), "failed": failed}), flush=True)
    sys.exit(1 if failed else 0)
