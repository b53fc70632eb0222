// Customers and the catalogue: created, read, changed, listed, deleted.
import assert from 'node:assert/strict';
import { client, refused, test } from './harness.mjs';

const stripe = client();

test('an account tells who it is', async () => {
  const account = await stripe.accounts.retrieveCurrent();
  assert.equal(account.object, 'account');
  assert.match(account.lastResponse.requestId, /^req_/);
  assert.equal(account.lastResponse.apiVersion, '2026-10-28.endive');
  assert.equal(account.lastResponse.statusCode, 200);
});

test('metadata is merged, one key is unset, all of it is unset', async () => {
  const made = await stripe.customers.create({
    name: 'Ada Löve & Co.',
    email: 'ada+test@customer.example',
    metadata: { plan: 'gold', 'billing.model': 'a=b&c[d]', nothing: 'x' },
    address: { line1: '1 Rue de l’Été', city: 'Paris', country: 'FR' },
    preferred_locales: ['fr', 'en'],
  });
  assert.equal(made.name, 'Ada Löve & Co.');
  assert.equal(made.address.line1, '1 Rue de l’Été');
  assert.deepEqual(made.preferred_locales, ['fr', 'en']);
  assert.deepEqual(made.metadata, { plan: 'gold', 'billing.model': 'a=b&c[d]', nothing: 'x' });
  const merged = await stripe.customers.update(made.id, { metadata: { plan: 'silver', nothing: '', extra: '1' } });
  assert.deepEqual(merged.metadata, { plan: 'silver', 'billing.model': 'a=b&c[d]', extra: '1' });
  const nulled = await stripe.customers.update(made.id, { metadata: { extra: null } });
  assert.deepEqual(nulled.metadata, { plan: 'silver', 'billing.model': 'a=b&c[d]' });
  const cleared = await stripe.customers.update(made.id, { metadata: '', name: '' });
  assert.deepEqual(cleared.metadata, {});
  assert.equal(cleared.name, null);
  assert.equal((await stripe.customers.retrieve(made.id)).email, 'ada+test@customer.example');
});

test('a deleted customer is a tombstone', async () => {
  const made = await stripe.customers.create({ description: 'to be deleted' });
  assert.deepEqual({ ...(await stripe.customers.del(made.id)) }, { id: made.id, object: 'customer', deleted: true });
  assert.equal((await stripe.customers.retrieve(made.id)).deleted, true);
  assert.equal((await refused(stripe.customers.update(made.id, { name: 'x' }))).statusCode, 404);
});

test('the catalogue: product, price, coupon', async () => {
  const product = await stripe.products.create({ id: 'node-plan', name: 'Plan', metadata: { tier: '1' } });
  assert.equal(product.id, 'node-plan');
  const yearly = await stripe.prices.create({
    product: product.id,
    currency: 'eur',
    unit_amount: 12000,
    recurring: { interval: 'year' },
    lookup_key: 'node_yearly',
  });
  const withPrice = await stripe.products.update(product.id, { default_price: yearly.id, description: 'The plan' });
  assert.equal(withPrice.default_price, yearly.id);
  const found = await stripe.prices.list({ lookup_keys: ['node_yearly'], expand: ['data.product'] });
  assert.equal(found.data[0].product.name, 'Plan');
  assert.equal((await stripe.prices.update(yearly.id, { nickname: 'Yearly' })).nickname, 'Yearly');
  const coupon = await stripe.coupons.create({ percent_off: 12.5, duration: 'once', name: 'Welcome' });
  assert.equal(coupon.percent_off, 12.5);
  assert.equal((await stripe.coupons.update(coupon.id, { metadata: { a: 'b' } })).metadata.a, 'b');
  assert.equal((await stripe.coupons.retrieve(coupon.id)).valid, true);
  assert.equal((await stripe.coupons.del(coupon.id)).deleted, true);
  await stripe.coupons.create({ id: 'NODE10', amount_off: 1000, currency: 'usd', duration: 'repeating', duration_in_months: 3 });
  const unused = await stripe.products.create({ name: 'Unused' });
  assert.equal((await stripe.products.del(unused.id)).deleted, true);
});

test('payment methods are attached, changed and detached', async () => {
  const customer = await stripe.customers.create({ name: 'Bob' });
  const made = await stripe.paymentMethods.create({ type: 'card', card: { token: 'tok_visa' } });
  assert.equal(made.card.last4, '4242');
  const attached = await stripe.paymentMethods.attach(made.id, { customer: customer.id });
  assert.equal(attached.customer, customer.id);
  const changed = await stripe.paymentMethods.update(made.id, { billing_details: { name: 'Bob B.' }, metadata: { a: '1' } });
  assert.equal(changed.billing_details.name, 'Bob B.');
  const own = await stripe.customers.listPaymentMethods(customer.id, { type: 'card' });
  assert.deepEqual(own.data.map((method) => method.id), [made.id]);
  const expanded = await stripe.paymentMethods.retrieve(made.id, { expand: ['customer'] });
  assert.equal(expanded.customer.name, 'Bob');
  assert.equal((await stripe.paymentMethods.detach(made.id)).customer, null);
});

test('what is not in the type definitions can be asked for raw', async () => {
  const raw = await stripe.rawRequest('POST', '/v1/customers', { name: 'Raw', metadata: { k: 'v' } });
  assert.equal(raw.name, 'Raw');
  assert.equal((await stripe.rawRequest('GET', `/v1/customers/${raw.id}`)).metadata.k, 'v');
});
