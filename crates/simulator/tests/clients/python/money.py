"""Money: payments, refunds, disputes, payouts, subscriptions and invoices."""

import stripe
from harness import case, client, equal, refused

api = client().v1


def payer():
    """A customer who pays with a card that pays."""
    customer = api.customers.create({"name": "Payer"})
    method = api.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    return api.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})


def paid(amount, **more):
    """A payment with a card that pays, unless told otherwise."""
    return api.payment_intents.create({
        "amount": amount, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}, **more,
    })


@case("a payment, its charge, its balance transaction and its refund")
def _():
    intent = paid(4200, metadata={"order": "1"}, expand=["latest_charge.balance_transaction"])
    equal(intent.status, "succeeded")
    charge = intent.latest_charge
    equal(charge.balance_transaction.net, 4200 - charge.balance_transaction.fee)
    refund = api.refunds.create({"payment_intent": intent.id, "amount": 1200})
    equal(api.refunds.update(refund.id, {"metadata": {"why": "late"}}).metadata["why"], "late")
    again = api.charges.retrieve(charge.id, {"expand": ["refunds", "payment_intent"]})
    equal((again.amount_refunded, again.refunds.data[0].id), (1200, refund.id))
    equal(again.payment_intent.metadata["order"], "1")
    moves = api.balance_transactions.list({"source": refund.id})
    equal(moves.data[0].amount, -1200)
    assert any(part.currency == "usd" for part in api.balance.retrieve().pending)


@case("an intent is held, captured in part, and another is cancelled")
def _():
    customer = payer()
    held = api.payment_intents.create({"amount": 3000, "currency": "usd", "customer": customer.id, "capture_method": "manual"})
    confirmed = api.payment_intents.confirm(held.id, {
        "payment_method": customer.invoice_settings.default_payment_method, "return_url": "https://shop.example/back"})
    equal(confirmed.status, "requires_capture")
    equal(api.payment_intents.capture(held.id, {"amount_to_capture": 2500}).amount_received, 2500)
    dropped = api.payment_intents.create({"amount": 500, "currency": "usd"})
    equal(api.payment_intents.cancel(dropped.id).status, "canceled")


@case("a bank disputes a charge, evidence is sent, the dispute is closed")
def _():
    intent = paid(2500, payment_method="pm_card_createDispute")
    dispute = api.disputes.list({"payment_intent": intent.id}).data[0]
    answered = api.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "It was delivered."}, "submit": False})
    equal(answered.evidence.uncategorized_text, "It was delivered.")
    equal(api.disputes.close(dispute.id).status, "lost")


@case("a subscription begins, changes and ends, and its invoice is paid")
def _():
    customer = payer()
    price = api.prices.create({"currency": "usd", "unit_amount": 1500, "recurring": {"interval": "month"}, "product_data": {"name": "Monthly"}})
    made = api.subscriptions.create({
        "customer": customer.id, "items": [{"price": price.id, "quantity": 2}], "expand": ["latest_invoice.payments"]})
    equal((made.status, made.latest_invoice.amount_paid), ("active", 3000))
    item = made["items"].data[0]
    more = api.subscriptions.update(made.id, {"items": [{"id": item.id, "quantity": 3}], "proration_behavior": "none"})
    equal(more["items"].data[0].quantity, 3)
    equal(api.subscriptions.cancel(made.id).status, "canceled")
    equal(len(api.subscriptions.list({"customer": customer.id}).data), 0)
    equal(len(api.subscriptions.list({"customer": customer.id, "status": "all"}).data), 1)


@case("an invoice is drafted, finalised and paid; others are voided and deleted")
def _():
    customer = payer()

    def draft():
        invoice = api.invoices.create({"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 30, "currency": "usd"})
        api.invoice_items.create({"customer": customer.id, "invoice": invoice.id, "amount": 900, "currency": "usd", "description": "Work"})
        return invoice

    first = draft()
    equal(api.invoices.line_items.list(first.id).data[0].description, "Work")
    equal(api.invoices.finalize_invoice(first.id).amount_due, 900)
    equal(api.invoices.pay(first.id).status, "paid")
    equal(api.invoice_payments.list({"invoice": first.id}).data[0].amount_paid, 900)
    second = draft()
    api.invoices.finalize_invoice(second.id)
    equal(api.invoices.void_invoice(second.id).status, "void")
    equal(api.invoices.delete(draft().id).deleted, True)


@case("a payout leaves what is available")
def _():
    paid(80000, payment_method="pm_card_bypassPending")
    made = api.payouts.create({"amount": 5000, "currency": "usd", "metadata": {"run": "1"}})
    equal((made.status, api.payouts.cancel(made.id).status), ("pending", "canceled"))


@case("a declined card tells why")
def _():
    error = refused(lambda: paid(700, payment_method="pm_card_visa_chargeDeclinedInsufficientFunds"))
    assert isinstance(error, stripe.CardError)
    equal((error.code, error.error.decline_code, error.http_status), ("card_declined", "insufficient_funds", 402))
    equal(error.error.payment_intent.status, "requires_payment_method")
