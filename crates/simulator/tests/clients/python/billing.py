"""Search, test clocks, and what else a billing integration uses: setup intents, tax rates, v2's thin events."""

import time

from harness import case, client, control, equal, until

whole = client()
api = whole.v1
DAY = 86_400


@case("a search sees what was made a while ago, and pages")
def _():
    made = api.customers.create({"name": "Sought", "metadata": {"tier": "python-search"}})
    query = {"query": "metadata['tier']:'python-search'"}
    equal(api.customers.search(query).data, [])
    control("POST", "time", {"advance_seconds": 120})
    equal([customer.id for customer in api.customers.search(query).data], [made.id])
    pages = api.customers.search({"query": "email:'many@lists.example'", "limit": 5})
    equal(len({customer.id for customer in pages.auto_paging_iter()}), 23)


@case("a test clock renews a subscription")
def _():
    now = int(time.time())
    clock = api.test_helpers.test_clocks.create({"frozen_time": now})
    customer = api.customers.create({
        "test_clock": clock.id, "payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}})
    price = api.prices.create({"currency": "usd", "unit_amount": 900, "recurring": {"interval": "month"}, "product_data": {"name": "Clocked"}})
    subscription = api.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})
    api.test_helpers.test_clocks.advance(clock.id, {"frozen_time": now + 33 * DAY})
    until("the clock is ready", lambda: api.test_helpers.test_clocks.retrieve(clock.id).status == "ready")
    invoices = api.invoices.list({"subscription": subscription.id})
    equal([(invoice.status, invoice.amount_paid) for invoice in invoices.data], [("paid", 900), ("paid", 900)])


@case("a card is set up and a tax rate is made")
def _():
    customer = api.customers.create({"name": "Set up"})
    setup = api.setup_intents.create({
        "customer": customer.id, "payment_method": "pm_card_visa", "confirm": True,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}})
    equal(setup.status, "succeeded")
    rate = api.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    equal(api.tax_rates.update(rate.id, {"active": False}).active, False)


@case("thin events are listed, read, and lead to their object")
def _():
    customer = api.customers.create({"name": "Thin"})
    control("POST", "time", {"advance_seconds": 60})
    events = list(whole.v2.core.events.list({"object_id": customer.id, "limit": 1}).auto_paging_iter())
    equal([event.type for event in events], ["v1.customer.created"])
    equal(whole.v2.core.events.retrieve(events[0].id).related_object.id, customer.id)
