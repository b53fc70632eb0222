"""Lists: pages both ways, all at once, ranges of time, filters, expansion."""

import stripe
from harness import case, client, equal, refused

api = client().v1
COUNT = 23
EMAIL = "many@lists.example"
NAMES = [f"List {number}" for number in range(COUNT)]


@case("many customers are made")
def _():
    for name in NAMES:
        api.customers.create({"name": name, "email": EMAIL})


@case("auto-paging forward gives the newest first, each once")
def _():
    seen = [customer.name for customer in api.customers.list({"email": EMAIL, "limit": 5}).auto_paging_iter()]
    equal(seen, NAMES[::-1])


@case("auto-paging backward from the oldest gives the rest, oldest first")
def _():
    oldest = api.customers.list({"email": EMAIL, "limit": 100}).data[-1]
    page = api.customers.list({"email": EMAIL, "limit": 7, "ending_before": oldest.id})
    equal([customer.name for customer in page.auto_paging_iter()], NAMES[1:])


@case("lists are limited to ranges of time")
def _():
    newest = api.customers.list({"email": EMAIL, "limit": 1}).data[0]
    within = {"gte": newest.created - 3600, "lte": newest.created}
    equal(len(api.customers.list({"email": EMAIL, "created": within, "limit": 100}).data), COUNT)
    equal(len(api.customers.list({"email": EMAIL, "created": {"gt": newest.created}}).data), 0)


@case("every list answers, and pages to its end")
def _():
    for resource in (api.products, api.prices, api.coupons, api.payment_intents, api.charges, api.refunds, api.disputes,
                     api.balance_transactions, api.payouts, api.subscriptions, api.invoices, api.invoice_items,
                     api.invoice_payments, api.events, api.webhook_endpoints):
        ids = [one.id for one in resource.list({"limit": 3}).auto_paging_iter()]
        equal(len(set(ids)), len(ids))
    events = api.events.list({"types": ["customer.created", "product.created"], "limit": 100})
    assert len(events.data) > COUNT
    equal(api.events.retrieve(events.data[0].id).api_version, "2026-10-28.endive")


@case("lists are expanded within their data")
def _():
    charges = api.charges.list({"limit": 3, "expand": ["data.balance_transaction", "data.payment_intent.customer"]})
    paid = next(charge for charge in charges.data if charge.paid)
    equal(paid.balance_transaction.object, "balance_transaction")


@case("a limit beyond a hundred is refused")
def _():
    error = refused(lambda: api.customers.list({"limit": 101}))
    assert isinstance(error, stripe.InvalidRequestError)
    equal((error.http_status, error.param), (400, "limit"))
