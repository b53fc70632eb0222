// Lists: pages both ways, all at once, ranges of time, filters, expansion.
import assert from 'node:assert/strict';
import { client, refused, test } from './harness.mjs';

const stripe = client();
const COUNT = 23;
const email = 'many@lists.example';
let names;

test('many customers are made', async () => {
  for (let number = 0; number < COUNT; number += 1) await stripe.customers.create({ name: `List ${number}`, email });
  names = Array.from({ length: COUNT }, (_, number) => `List ${number}`);
});

test('auto-paging forward gives the newest first, each once', async () => {
  const seen = [];
  for await (const customer of stripe.customers.list({ email, limit: 5 })) seen.push(customer.name);
  assert.deepEqual(seen, names.toReversed());
  const some = await stripe.customers.list({ email, limit: 4 }).autoPagingToArray({ limit: 10 });
  assert.deepEqual(some.map((customer) => customer.name), names.toReversed().slice(0, 10));
});

test('auto-paging backward from the oldest gives the rest, oldest first', async () => {
  const all = await stripe.customers.list({ email, limit: 100 });
  const seen = [];
  for await (const customer of stripe.customers.list({ email, limit: 7, ending_before: all.data.at(-1).id })) seen.push(customer.name);
  assert.deepEqual(seen, names.slice(1));
});

test('pages say whether there is more', async () => {
  const first = await stripe.customers.list({ email, limit: COUNT - 1 });
  assert.deepEqual([first.has_more, first.url, first.object], [true, '/v1/customers', 'list']);
  const last = await stripe.customers.list({ email, starting_after: first.data.at(-1).id });
  assert.deepEqual([last.has_more, last.data.length], [false, 1]);
});

test('lists are limited to ranges of time', async () => {
  const [newest] = (await stripe.customers.list({ email, limit: 1 })).data;
  const within = await stripe.customers.list({ email, created: { gte: newest.created - 3600, lte: newest.created }, limit: 100 });
  assert.equal(within.data.length, COUNT);
  assert.equal((await stripe.customers.list({ email, created: { gt: newest.created } })).data.length, 0);
  assert.equal((await stripe.customers.list({ email, created: { lt: newest.created - 3600 } })).data.length, 0);
  assert.ok((await stripe.customers.list({ email, created: newest.created })).data.length >= 1);
});

test('every list answers, and pages to its end', async () => {
  const lists = [stripe.products, stripe.prices, stripe.coupons, stripe.paymentIntents, stripe.charges, stripe.refunds,
    stripe.disputes, stripe.balanceTransactions, stripe.payouts, stripe.subscriptions, stripe.invoices, stripe.invoiceItems,
    stripe.invoicePayments, stripe.events, stripe.webhookEndpoints];
  for (const resource of lists) {
    const all = await resource.list({ limit: 3 }).autoPagingToArray({ limit: 500 });
    assert.equal(new Set(all.map((object) => object.id)).size, all.length);
  }
  const events = await stripe.events.list({ types: ['customer.created', 'product.created'], limit: 100 });
  assert.ok(events.data.length > COUNT);
  const event = await stripe.events.retrieve(events.data[0].id);
  assert.equal(event.api_version, '2026-10-28.endive');
});

test('lists are expanded within their data', async () => {
  const charges = await stripe.charges.list({ limit: 3, expand: ['data.balance_transaction', 'data.payment_intent.customer'] });
  assert.equal(charges.data.find((charge) => charge.paid).balance_transaction.object, 'balance_transaction');
  const error = await refused(stripe.charges.list({ expand: ['customer'] }));
  assert.equal(error.param, 'expand');
});

test('a limit beyond a hundred is refused', async () => {
  const error = await refused(stripe.customers.list({ limit: 101 }));
  assert.deepEqual([error.type, error.statusCode, error.param], ['StripeInvalidRequestError', 400, 'limit']);
});
