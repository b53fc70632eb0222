// Money: payments, refunds, disputes, payouts, subscriptions and invoices.
import assert from 'node:assert/strict';
import { client, control, refused, test } from './harness.mjs';

const stripe = client();

/** A customer who pays with a card that pays. */
async function payer() {
  const customer = await stripe.customers.create({ name: 'Payer' });
  const method = await stripe.paymentMethods.attach('pm_card_visa', { customer: customer.id });
  return stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: method.id } });
}

const paid = (amount, more = {}) =>
  stripe.paymentIntents.create({ amount, currency: 'usd', payment_method: 'pm_card_visa', confirm: true,
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' }, ...more });

test('a payment, its charge, its balance transaction and its refund', async () => {
  const intent = await paid(4200, { metadata: { order: '1' }, expand: ['latest_charge.balance_transaction'] });
  assert.equal(intent.status, 'succeeded');
  const charge = intent.latest_charge;
  assert.equal(charge.balance_transaction.amount, 4200);
  assert.equal(charge.balance_transaction.net, 4200 - charge.balance_transaction.fee);
  const refund = await stripe.refunds.create({ payment_intent: intent.id, amount: 1200, reason: 'requested_by_customer' });
  assert.equal(refund.status, 'succeeded');
  assert.equal((await stripe.refunds.update(refund.id, { metadata: { why: 'late' } })).metadata.why, 'late');
  const again = await stripe.charges.retrieve(charge.id, { expand: ['refunds', 'payment_intent'] });
  assert.equal(again.amount_refunded, 1200);
  assert.equal(again.refunds.data[0].id, refund.id);
  assert.equal(again.payment_intent.metadata.order, '1');
  assert.equal((await stripe.charges.update(charge.id, { description: 'Order 1' })).description, 'Order 1');
  const moves = await stripe.balanceTransactions.list({ source: refund.id });
  assert.equal(moves.data[0].amount, -1200);
  assert.equal((await stripe.balanceTransactions.retrieve(moves.data[0].id)).type, 'refund');
  const balance = await stripe.balance.retrieve();
  assert.ok(balance.pending.some((sum) => sum.currency === 'usd'));
});

test('an intent is created, confirmed, captured in part, and another is cancelled', async () => {
  const customer = await payer();
  const held = await stripe.paymentIntents.create({ amount: 3000, currency: 'usd', customer: customer.id, capture_method: 'manual' });
  assert.equal(held.status, 'requires_payment_method');
  const changed = await stripe.paymentIntents.update(held.id, { amount: 3300 });
  assert.equal(changed.amount, 3300);
  const confirmed = await stripe.paymentIntents.confirm(held.id, {
    payment_method: customer.invoice_settings.default_payment_method,
    return_url: 'https://shop.example/back',
  });
  assert.equal(confirmed.status, 'requires_capture');
  const captured = await stripe.paymentIntents.capture(held.id, { amount_to_capture: 3000 });
  assert.deepEqual([captured.status, captured.amount_received], ['succeeded', 3000]);
  const dropped = await stripe.paymentIntents.create({ amount: 500, currency: 'usd' });
  assert.equal((await stripe.paymentIntents.cancel(dropped.id, { cancellation_reason: 'abandoned' })).status, 'canceled');
});

test('a bank disputes a charge, evidence is sent, the dispute is closed', async () => {
  const intent = await paid(2500, { payment_method: 'pm_card_createDispute' });
  const [dispute] = (await stripe.disputes.list({ payment_intent: intent.id })).data;
  assert.equal(dispute.status, 'needs_response');
  const answered = await stripe.disputes.update(dispute.id, { evidence: { uncategorized_text: 'It was delivered.' }, submit: false });
  assert.equal(answered.evidence.uncategorized_text, 'It was delivered.');
  assert.equal((await stripe.disputes.close(dispute.id)).status, 'lost');
  assert.equal((await stripe.disputes.retrieve(dispute.id)).amount, 2500);
});

test('a subscription begins, changes and ends, and its invoice is paid', async () => {
  const customer = await payer();
  const price = await stripe.prices.create({ currency: 'usd', unit_amount: 1500, recurring: { interval: 'month' }, product_data: { name: 'Monthly' } });
  const made = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id, quantity: 2 }],
    metadata: { seats: '2' },
    expand: ['latest_invoice.payments'],
  });
  assert.equal(made.status, 'active');
  assert.equal(made.latest_invoice.amount_paid, 3000);
  assert.equal(made.latest_invoice.payments.data[0].status, 'paid');
  const item = made.items.data[0];
  assert.ok(item.current_period_end > item.current_period_start);
  const more = await stripe.subscriptions.update(made.id, { items: [{ id: item.id, quantity: 3 }], proration_behavior: 'none' });
  assert.equal(more.items.data[0].quantity, 3);
  const later = await stripe.subscriptions.update(made.id, { cancel_at_period_end: true });
  assert.equal(later.cancel_at_period_end, true);
  const ended = await stripe.subscriptions.cancel(made.id, { cancellation_details: { comment: 'bye' } });
  assert.equal(ended.status, 'canceled');
  const still = await stripe.subscriptions.list({ customer: customer.id });
  const all = await stripe.subscriptions.list({ customer: customer.id, status: 'all' });
  assert.deepEqual([still.data.length, all.data.length], [0, 1]);
});

test('an invoice is drafted, finalised, sent and paid; others are voided, given up, deleted', async () => {
  const customer = await payer();
  const draft = async () => {
    const invoice = await stripe.invoices.create({ customer: customer.id, collection_method: 'send_invoice', days_until_due: 30, currency: 'usd' });
    await stripe.invoiceItems.create({ customer: customer.id, invoice: invoice.id, amount: 900, currency: 'usd', description: 'Work' });
    return invoice;
  };
  const first = await draft();
  const lines = await stripe.invoices.listLineItems(first.id, { limit: 5 });
  assert.equal(lines.data[0].description, 'Work');
  assert.equal((await stripe.invoices.update(first.id, { footer: 'Thank you' })).footer, 'Thank you');
  const open = await stripe.invoices.finalizeInvoice(first.id);
  assert.deepEqual([open.status, open.amount_due], ['open', 900]);
  await stripe.invoices.sendInvoice(first.id);
  const done = await stripe.invoices.pay(first.id, { expand: ['payments.data.payment.payment_intent'] });
  assert.equal(done.status, 'paid');
  const payments = await stripe.invoicePayments.list({ invoice: first.id });
  assert.equal((await stripe.invoicePayments.retrieve(payments.data[0].id)).amount_paid, 900);
  const second = await draft();
  await stripe.invoices.finalizeInvoice(second.id);
  assert.equal((await stripe.invoices.voidInvoice(second.id)).status, 'void');
  const third = await draft();
  await stripe.invoices.finalizeInvoice(third.id);
  assert.equal((await stripe.invoices.markUncollectible(third.id)).status, 'uncollectible');
  const fourth = await draft();
  assert.equal((await stripe.invoices.del(fourth.id)).deleted, true);
  const item = await stripe.invoiceItems.create({ customer: customer.id, amount: 100, currency: 'usd' });
  assert.equal((await stripe.invoiceItems.update(item.id, { description: 'Small' })).description, 'Small');
  assert.equal((await stripe.invoiceItems.retrieve(item.id)).amount, 100);
  assert.equal((await stripe.invoiceItems.del(item.id)).deleted, true);
});

test('a payout leaves, and another is cancelled', async () => {
  await paid(80000, { payment_method: 'pm_card_bypassPending' });
  const made = await stripe.payouts.create({ amount: 5000, currency: 'usd', metadata: { run: '1' } });
  assert.equal(made.status, 'pending');
  assert.equal((await stripe.payouts.update(made.id, { metadata: { run: '2' } })).metadata.run, '2');
  assert.equal((await stripe.payouts.cancel(made.id)).status, 'canceled');
  const sent = await stripe.payouts.create({ amount: 4000, currency: 'usd' });
  await control('POST', 'time', { advance_seconds: 8 * 86400 });
  assert.equal((await stripe.payouts.retrieve(sent.id)).status, 'paid');
});

test('a declined card tells why', async () => {
  const error = await refused(paid(700, { payment_method: 'pm_card_visa_chargeDeclinedInsufficientFunds' }));
  assert.equal(error.type, 'StripeCardError');
  assert.deepEqual([error.code, error.decline_code, error.statusCode], ['card_declined', 'insufficient_funds', 402]);
  assert.equal(error.payment_intent.status, 'requires_payment_method');
  assert.match(error.charge, /^ch_/);
});
