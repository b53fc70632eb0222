// Search, test clocks, and what else a billing integration uses: setup intents, promotion codes, tax rates, v2's thin events.
import assert from 'node:assert/strict';
import { client, control, test, until } from './harness.mjs';
import { receiver } from './receiver.mjs';

const stripe = client();
const DAY = 86400;

test('a search sees what was made a while ago, and pages', async () => {
  const made = await stripe.customers.create({ name: 'Sought', metadata: { tier: 'node-search' } });
  const find = () => stripe.customers.search({ query: "metadata['tier']:'node-search'" });
  assert.deepEqual((await find()).data, [], 'the index lags');
  await control('POST', 'time', { advance_seconds: 120 });
  const found = await find();
  assert.deepEqual([found.object, found.data.map((customer) => customer.id)], ['search_result', [made.id]]);
  const all = await stripe.customers.search({ query: "email:'many@lists.example'", limit: 5 }).autoPagingToArray({ limit: 100 });
  assert.equal(new Set(all.map((customer) => customer.id)).size, 23);
});

test('a test clock renews a subscription', async () => {
  const now = Math.floor(Date.now() / 1000);
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: now, name: 'Node' });
  const customer = await stripe.customers.create({
    test_clock: clock.id, payment_method: 'pm_card_visa', invoice_settings: { default_payment_method: 'pm_card_visa' } });
  const price = await stripe.prices.create({ currency: 'usd', unit_amount: 900, recurring: { interval: 'month' }, product_data: { name: 'Clocked' } });
  const subscription = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: now + 33 * DAY });
  await until('the clock is ready', async () => (await stripe.testHelpers.testClocks.retrieve(clock.id)).status === 'ready');
  const invoices = await stripe.invoices.list({ subscription: subscription.id });
  assert.deepEqual(invoices.data.map((invoice) => [invoice.status, invoice.amount_paid]), [['paid', 900], ['paid', 900]]);
  const items = await stripe.subscriptionItems.list({ subscription: subscription.id });
  assert.equal(items.data[0].price.id, price.id);
  assert.equal((await stripe.testHelpers.testClocks.del(clock.id)).deleted, true);
});

test('a card is set up, a code promotes a coupon, a tax rate is made', async () => {
  const customer = await stripe.customers.create({ name: 'Set up' });
  const setup = await stripe.setupIntents.create({ customer: customer.id, payment_method: 'pm_card_visa', confirm: true,
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' } });
  assert.equal(setup.status, 'succeeded');
  assert.equal((await stripe.customers.listPaymentMethods(customer.id)).data.length, 1);
  const coupon = await stripe.coupons.create({ percent_off: 20, duration: 'once' });
  const code = await stripe.promotionCodes.create({ promotion: { type: 'coupon', coupon: coupon.id }, code: 'NODE20' });
  assert.equal((await stripe.promotionCodes.list({ code: 'NODE20' })).data[0].id, code.id);
  const rate = await stripe.taxRates.create({ display_name: 'VAT', percentage: 20, inclusive: false });
  assert.equal((await stripe.taxRates.update(rate.id, { active: false })).active, false);
});

test('thin events are listed, read, and lead to their object', async () => {
  const customer = await stripe.customers.create({ name: 'Thin' });
  await control('POST', 'time', { advance_seconds: 60 });
  const events = [];
  for await (const event of stripe.v2.core.events.list({ object_id: customer.id, limit: 1 })) events.push(event);
  assert.deepEqual(events.map((event) => event.type), ['v1.customer.created']);
  const event = await stripe.v2.core.events.retrieve(events[0].id);
  assert.equal(event.related_object.id, customer.id);
});

test('a destination gets thin notifications, which the client verifies', async () => {
  const { heard, url, close } = await receiver();
  const made = await stripe.v2.core.eventDestinations.create({ name: 'Thin', type: 'webhook_endpoint', event_payload: 'thin',
    enabled_events: ['v1.customer.created'], webhook_endpoint: { url }, include: ['webhook_endpoint.signing_secret'] });
  const customer = await stripe.customers.create({ name: 'Notified' });
  await until('a notification', () => heard.length >= 1);
  const [{ body, headers }] = heard;
  const secret = made.webhook_endpoint.signing_secret;
  const notification = stripe.parseEventNotification(body, headers['stripe-signature'], secret);
  assert.equal(notification.type, 'v1.customer.created');
  assert.equal((await notification.fetchRelatedObject()).id, customer.id);
  await stripe.v2.core.eventDestinations.del(made.id);
  close();
});
