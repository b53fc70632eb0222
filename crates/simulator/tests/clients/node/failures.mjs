// What goes wrong, as the client tells it, and what the client repairs by itself.
import assert from 'node:assert/strict';
import { calls, client, control, fault, liveKey, refused, Stripe, test } from './harness.mjs';

const stripe = client();

test('each refusal has its class', async () => {
  const check = async (promise, type, status, code, param) => {
    const error = await refused(promise);
    assert.ok(error instanceof Stripe.errors[type], `${error.constructor.name} is not ${type}`);
    assert.deepEqual([error.type, error.statusCode, error.code, error.param], [type, status, code, param]);
    assert.match(error.requestId, /^req_/);
  };
  await check(stripe.customers.retrieve('cus_none'), 'StripeInvalidRequestError', 404, 'resource_missing', 'id');
  await check(stripe.paymentIntents.create({ amount: 500, currency: 'usd', customer: 'cus_none' }), 'StripeInvalidRequestError', 400, 'resource_missing', 'customer');
  await check(stripe.paymentIntents.create({ currency: 'usd' }), 'StripeInvalidRequestError', 400, 'parameter_missing', 'amount');
  await check(stripe.customers.create({ shoe_size: 43 }), 'StripeInvalidRequestError', 400, 'parameter_unknown', 'shoe_size');
  await check(stripe.customers.create({ address: { planet: 'x' } }), 'StripeInvalidRequestError', 400, 'parameter_unknown', 'address[planet]');
  await check(client('sk_test_wrongwrongwrong').customers.list(), 'StripeAuthenticationError', 401, undefined, undefined);
  const { key: restricted } = await control('POST', 'keys', { permissions: ['rak_charge_read'] });
  const limited = client(restricted);
  assert.equal((await limited.charges.list()).object, 'list');
  await check(limited.customers.list(), 'StripePermissionError', 403, undefined, undefined);
  const { key: old } = await control('POST', 'keys', { permissions: [] });
  await control('POST', 'keys', { revoke: old });
  await check(client(old).charges.list(), 'StripeAuthenticationError', 401, 'api_key_expired', undefined);
});

test('test data and live data never meet', async () => {
  const live = client(liveKey);
  const made = await live.customers.create({ name: 'Live' });
  assert.equal(made.livemode, true);
  const error = await refused(stripe.customers.retrieve(made.id));
  assert.match(error.message, /a similar object exists in live mode/);
});

test('the same key gives the first answer again, and other parameters are refused', async () => {
  const options = { idempotencyKey: 'node-once' };
  const first = await stripe.customers.create({ name: 'Once' }, options);
  const second = await stripe.customers.create({ name: 'Once' }, options);
  assert.equal(second.id, first.id);
  assert.equal(first.lastResponse.idempotencyKey, 'node-once');
  assert.equal(second.lastResponse.headers['idempotent-replayed'], 'true');
  assert.equal(second.lastResponse.headers['original-request'], first.lastResponse.requestId);
  const error = await refused(stripe.customers.create({ name: 'Twice' }, options));
  assert.deepEqual([error.type, error.statusCode], ['StripeIdempotencyError', 400]);
});

test('a failure of the server is tried again with the same key', async () => {
  await fault('POST /v1/customers', { fault: 'status', status: 500 }, 2);
  const before = await calls('POST /v1/customers');
  const made = await stripe.customers.create({ name: 'Tried again' });
  assert.match(made.id, /^cus_/);
  assert.equal((await calls('POST /v1/customers')) - before, 3);
});

test('a lock held by another is waited for', async () => {
  await fault('POST /v1/customers', { fault: 'lock_timeout' }, 2);
  assert.match((await stripe.customers.create({ name: 'Locked' })).id, /^cus_/);
  await fault('POST /v1/customers', { fault: 'lock_timeout' }, 3);
  const error = await refused(stripe.customers.create({ name: 'Locked' }));
  assert.deepEqual([error.statusCode, error.code, error.requestId], [429, 'lock_timeout', undefined]);
});

test('a key whose first call still runs is waited for', async () => {
  await fault('POST /v1/customers', { fault: 'key_in_use' }, 1);
  assert.match((await stripe.customers.create({ name: 'In use' })).id, /^cus_/);
});

test('an answer that breaks off is told, a page of a proxy is tried again, and nothing is made twice', async () => {
  const email = 'cut@failures.example';
  // This client does not try again here; whoever does so with the same key gets the first answer.
  await fault('POST /v1/customers', { fault: 'cut_body' });
  const options = { idempotencyKey: 'node-cut' };
  assert.equal((await refused(stripe.customers.create({ email }, options))).type, 'StripeConnectionError');
  await stripe.customers.create({ email }, options);
  await fault('POST /v1/customers', { fault: 'garbage', after_effect: true });
  await stripe.customers.create({ email });
  assert.equal((await stripe.customers.list({ email })).data.length, 2);
});

test('a connection that drops after the effect makes nothing twice', async () => {
  const email = 'dropped@failures.example';
  await fault('POST /v1/customers', { fault: 'drop', after_effect: true });
  const made = await stripe.customers.create({ email });
  const all = await stripe.customers.list({ email });
  assert.deepEqual(all.data.map((customer) => customer.id), [made.id]);
});

test('a failure that stays is told as such', async () => {
  await fault('GET /v1/balance', { fault: 'status', status: 503 }, 3);
  const error = await refused(stripe.balance.retrieve());
  assert.deepEqual([error.type, error.statusCode], ['StripeAPIError', 503]);
  await fault('GET /v1/balance', { fault: 'drop' }, 3);
  assert.equal((await refused(stripe.balance.retrieve())).type, 'StripeConnectionError');
  assert.equal((await stripe.balance.retrieve()).object, 'balance');
});

test('a rate limit is told with its reason and not tried again', async () => {
  await fault('GET /v1/balance', { fault: 'rate_limit', reason: 'endpoint-rate' });
  const error = await refused(stripe.balance.retrieve());
  assert.deepEqual([error.type, error.statusCode], ['StripeRateLimitError', 429]);
  assert.equal(error.headers['stripe-rate-limited-reason'], 'endpoint-rate');
});

test('a slow answer runs into the time limit', async () => {
  await fault('GET /v1/balance', { fault: 'delay', delay_ms: 3000 });
  const hasty = client(undefined, { timeout: 200, maxNetworkRetries: 0 });
  assert.equal((await refused(hasty.balance.retrieve())).type, 'StripeConnectionError');
});

test('another account of the same name is out of reach', async () => {
  const error = await refused(stripe.balance.retrieve({}, { stripeAccount: 'acct_stranger' }));
  assert.deepEqual([error.type, error.statusCode], ['StripePermissionError', 403]);
});
