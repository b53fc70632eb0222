// Webhooks: delivered to a server of ours, and verified by the client's own function.
import assert from 'node:assert/strict';
import { client, refused, Stripe, test, until } from './harness.mjs';
import { receiver } from './receiver.mjs';

const stripe = client();

test('a delivery is verified, and an altered one is not', async () => {
  const { heard, url, close } = await receiver();
  const endpoint = await stripe.webhookEndpoints.create({ url, enabled_events: ['customer.created', 'customer.updated'] });
  const made = await stripe.customers.create({ name: 'Hooked' });
  await stripe.customers.update(made.id, { name: 'Hooked again' });
  await until('two deliveries', () => heard.length >= 2);
  const events = heard.map(({ body, headers }) =>
    stripe.webhooks.constructEvent(body, headers['stripe-signature'], endpoint.secret));
  const updated = events.find((event) => event.type === 'customer.updated');
  assert.equal(updated.data.object.id, made.id);
  assert.deepEqual(updated.data.previous_attributes, { name: 'Hooked' });
  assert.match(updated.request.id, /^req_/);
  const [{ body, headers }] = heard;
  assert.equal(headers['content-type'], 'application/json; charset=utf-8');
  assert.match(headers['user-agent'], /^Stripe\/1\.0/);
  const altered = Buffer.from(body.toString().replace('Hooked', 'Hacked'));
  for (const [payload, secret] of [[altered, endpoint.secret], [body, 'whsec_other']]) {
    const error = await refused((async () => stripe.webhooks.constructEvent(payload, headers['stripe-signature'], secret))());
    assert.ok(error instanceof Stripe.errors.StripeSignatureVerificationError);
  }
  await stripe.webhookEndpoints.del(endpoint.id);
  close();
});

test('an endpoint is changed, disabled and told by its list', async () => {
  const made = await stripe.webhookEndpoints.create({ url: 'https://hooks.example/a', enabled_events: ['*'], metadata: { a: '1' } });
  assert.match(made.secret, /^whsec_/);
  const changed = await stripe.webhookEndpoints.update(made.id, { disabled: true, enabled_events: ['charge.succeeded'] });
  assert.deepEqual([changed.status, changed.enabled_events, changed.secret], ['disabled', ['charge.succeeded'], undefined]);
  const listed = await stripe.webhookEndpoints.list({ limit: 100 });
  assert.ok(listed.data.some((endpoint) => endpoint.id === made.id));
  assert.equal((await stripe.webhookEndpoints.del(made.id)).deleted, true);
});
