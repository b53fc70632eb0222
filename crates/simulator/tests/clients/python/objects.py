"""Customers and the catalogue: created, read, changed, listed, deleted."""

import stripe
from harness import base, case, client, equal, key, refused

api = client().v1


@case("an account tells who it is")
def _():
    account = api.accounts.retrieve_current()
    equal(account.object, "account")
    assert account.last_response.request_id.startswith("req_")
    equal(account.last_response.headers["Stripe-Version"], "2026-10-28.endive")
    equal(account.last_response.code, 200)


@case("metadata is merged, one key is unset, all of it is unset")
def _():
    made = api.customers.create({
        "name": "Ada Löve & Co.",
        "email": "ada+test@customer.example",
        "metadata": {"plan": "gold", "billing.model": "a=b&c[d]", "nothing": "x"},
        "address": {"line1": "1 Rue de l’Été", "city": "Paris", "country": "FR"},
        "preferred_locales": ["fr", "en"],
    })
    equal(made.name, "Ada Löve & Co.")
    equal(made.address.line1, "1 Rue de l’Été")
    equal(list(made.preferred_locales), ["fr", "en"])
    equal(made.metadata.to_dict(), {"plan": "gold", "billing.model": "a=b&c[d]", "nothing": "x"})
    merged = api.customers.update(made.id, {"metadata": {"plan": "silver", "nothing": "", "extra": "1"}})
    equal(merged.metadata.to_dict(), {"plan": "silver", "billing.model": "a=b&c[d]", "extra": "1"})
    cleared = api.customers.update(made.id, {"metadata": "", "name": ""})
    equal((cleared.metadata.to_dict(), cleared.name), ({}, None))
    equal(api.customers.retrieve(made.id).email, "ada+test@customer.example")


@case("a deleted customer is a tombstone")
def _():
    made = api.customers.create({"description": "to be deleted"})
    equal(api.customers.delete(made.id).deleted, True)
    equal(api.customers.retrieve(made.id).deleted, True)
    equal(refused(lambda: api.customers.update(made.id, {"name": "x"})).http_status, 404)


@case("the catalogue: product, price, coupon")
def _():
    product = api.products.create({"id": "python-plan", "name": "Plan", "metadata": {"tier": "1"}})
    yearly = api.prices.create({
        "product": product.id,
        "currency": "eur",
        "unit_amount": 12000,
        "recurring": {"interval": "year"},
        "lookup_key": "python_yearly",
    })
    equal(api.products.update(product.id, {"default_price": yearly.id}).default_price, yearly.id)
    found = api.prices.list({"lookup_keys": ["python_yearly"], "expand": ["data.product"]})
    equal(found.data[0].product.name, "Plan")
    equal(api.prices.update(yearly.id, {"nickname": "Yearly"}).nickname, "Yearly")
    coupon = api.coupons.create({"percent_off": 12.5, "duration": "once", "name": "Welcome"})
    equal(float(coupon.percent_off), 12.5)
    equal(api.coupons.update(coupon.id, {"metadata": {"a": "b"}}).metadata["a"], "b")
    equal(api.coupons.delete(api.coupons.create({"amount_off": 5, "currency": "usd"}).id).deleted, True)


@case("payment methods are attached, changed and detached")
def _():
    customer = api.customers.create({"name": "Bob"})
    made = api.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    equal(made.card.last4, "4242")
    equal(api.payment_methods.attach(made.id, {"customer": customer.id}).customer, customer.id)
    changed = api.payment_methods.update(made.id, {"billing_details": {"name": "Bob B."}})
    equal(changed.billing_details.name, "Bob B.")
    own = api.customers.payment_methods.list(customer.id, {"type": "card"})
    equal([method.id for method in own.data], [made.id])
    equal(api.payment_methods.retrieve(made.id, {"expand": ["customer"]}).customer.name, "Bob")
    equal(api.payment_methods.detach(made.id).customer, None)


@case("what has no method of its own can be asked for raw")
def _():
    whole = client()
    raw = whole.raw_request("post", "/v1/customers", name="Raw", metadata={"k": "v"})
    read = whole.deserialize(whole.raw_request("get", f"/v1/customers/{whole.deserialize(raw, api_mode='V1').id}"), api_mode="V1")
    equal((read.name, read.metadata["k"]), ("Raw", "v"))


@case("the older style with module-wide settings works too")
def _():
    stripe.api_key, stripe.api_base = key, base
    made = stripe.Customer.create(name="Old style", metadata={"a": "1"})
    equal(stripe.Customer.modify(made.id, metadata={"a": ""}).metadata.to_dict(), {})
    equal(stripe.Customer.retrieve(made.id).name, "Old style")
