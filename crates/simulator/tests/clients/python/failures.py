"""What goes wrong, as the client tells it, and what the client repairs by itself."""

import stripe
from harness import base, calls, case, client, control, equal, fault, key, live_key, refused

api = client().v1


@case("each refusal has its class")
def _():
    def check(run, kind, status, code, param):
        error = refused(run)
        assert type(error) is kind, f"{type(error).__name__} is not {kind.__name__}: {error}"
        equal((error.http_status, error.code, getattr(error, "param", None)), (status, code, param))
        assert error.request_id.startswith("req_")

    invalid = stripe.InvalidRequestError
    check(lambda: api.customers.retrieve("cus_none"), invalid, 404, "resource_missing", "id")
    check(lambda: api.payment_intents.create({"amount": 500, "currency": "usd", "customer": "cus_none"}), invalid, 400, "resource_missing", "customer")
    check(lambda: api.payment_intents.create({"currency": "usd"}), invalid, 400, "parameter_missing", "amount")
    check(lambda: api.customers.create({"shoe_size": 43}), invalid, 400, "parameter_unknown", "shoe_size")
    check(lambda: client("sk_test_wrongwrongwrong").v1.customers.list(), stripe.AuthenticationError, 401, None, None)
    restricted = client(control("POST", "keys", {"permissions": ["rak_charge_read"]})["key"]).v1
    equal(restricted.charges.list().object, "list")
    check(restricted.customers.list, stripe.PermissionError, 403, None, None)


@case("test data and live data never meet")
def _():
    made = client(live_key).v1.customers.create({"name": "Live"})
    equal(made.livemode, True)
    assert "a similar object exists in live mode" in str(refused(lambda: api.customers.retrieve(made.id)))


@case("the same key gives the first answer again, and other parameters are refused")
def _():
    options = {"idempotency_key": "python-once"}
    first = api.customers.create({"name": "Once"}, options)
    second = api.customers.create({"name": "Once"}, options)
    equal(second.id, first.id)
    headers = second.last_response.headers
    equal((headers["Idempotent-Replayed"], headers["Original-Request"]), ("true", first.last_response.request_id))
    equal(headers["Idempotency-Key"], "python-once")
    error = refused(lambda: api.customers.create({"name": "Twice"}, options))
    assert isinstance(error, stripe.IdempotencyError), type(error)


@case("a failure of the server is tried again with the same key")
def _():
    fault("POST /v1/customers", times=2, fault="status", status=500)
    before = calls("POST /v1/customers")
    assert api.customers.create({"name": "Tried again"}).id.startswith("cus_")
    equal(calls("POST /v1/customers") - before, 3)


@case("a lock held by another is waited for")
def _():
    fault("POST /v1/customers", times=2, fault="lock_timeout")
    assert api.customers.create({"name": "Locked"}).id.startswith("cus_")
    fault("POST /v1/customers", times=3, fault="lock_timeout")
    error = refused(lambda: api.customers.create({"name": "Locked"}))
    equal((error.http_status, error.error.code, error.request_id), (429, "lock_timeout", None))


@case("a key whose first call still runs is waited for")
def _():
    fault("POST /v1/customers", fault="key_in_use")
    assert api.customers.create({"name": "In use"}).id.startswith("cus_")


@case("an answer that breaks off is told, a page of a proxy is tried again, and nothing is made twice")
def _():
    email = "cut@failures.example"
    # This client does not try again here; whoever does so with the same key gets the first answer.
    fault("POST /v1/customers", fault="cut_body")
    options = {"idempotency_key": "python-cut"}
    assert isinstance(refused(lambda: api.customers.create({"email": email}, options)), stripe.APIConnectionError)
    api.customers.create({"email": email}, options)
    fault("POST /v1/customers", fault="garbage", after_effect=True)
    api.customers.create({"email": email})
    equal(len(api.customers.list({"email": email}).data), 2)


@case("a connection that drops after the effect makes nothing twice")
def _():
    email = "dropped@failures.example"
    fault("POST /v1/customers", fault="drop", after_effect=True)
    made = api.customers.create({"email": email})
    equal([customer.id for customer in api.customers.list({"email": email}).data], [made.id])


@case("a failure that stays is told as such")
def _():
    fault("GET /v1/balance", times=3, fault="status", status=503)
    error = refused(api.balance.retrieve)
    equal((type(error), error.http_status), (stripe.APIError, 503))
    fault("GET /v1/balance", times=3, fault="drop")
    assert isinstance(refused(api.balance.retrieve), stripe.APIConnectionError)
    equal(api.balance.retrieve().object, "balance")


@case("a rate limit is told with its reason and not tried again")
def _():
    fault("GET /v1/balance", fault="rate_limit", reason="endpoint-rate")
    error = refused(api.balance.retrieve)
    assert isinstance(error, stripe.RateLimitError), type(error)
    equal(error.headers["Stripe-Rate-Limited-Reason"], "endpoint-rate")


@case("a key given as user name of basic authentication is taken")
def _():
    import requests

    session = requests.Session()
    session.trust_env = False
    answer = session.get(f"{base}/v1/customers", params={"limit": 1}, auth=(key, ""))
    equal((answer.status_code, answer.json()["object"]), (200, "list"))
    equal(answer.headers["Content-Length"], str(len(answer.content)))
