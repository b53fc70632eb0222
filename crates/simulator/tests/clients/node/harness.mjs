// What every suite of cases shares: the client, the simulator's own routes, and how results are told.
//
// Standard output is for the Rust test that started us: a line of JSON for each case, `{"case", "ok", "error"?}`, and
// `{"done", "failed"}` as the last. Whatever does not end with that line has failed.

import { createRequire } from 'node:module';

/** A setting that the Rust test gives; without it nothing here can be right. */
function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: these scripts are started by the simulator's tests`);
  return value;
}

export const base = setting('SIMULATOR_URL');
export const key = setting('SIMULATOR_KEY');
export const liveKey = setting('SIMULATOR_LIVE_KEY');

const require = createRequire(`${setting('CLIENTS_FOLDER')}/`);
export const Stripe = require('stripe');

/** The official client as a user makes it, but for the address. */
export function client(secret = key, more = {}) {
  const { hostname, port } = new URL(base);
  return new Stripe(secret, { host: hostname, port, protocol: 'http', telemetry: false, ...more });
}

/** Steers the simulator: `/_sim/…`. */
export async function control(method, path, body) {
  const answer = await fetch(`${base}/_sim/${path}`, { method, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} /_sim/${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** What goes wrong with the next calls of a name such as `POST /v1/customers`. */
export const fault = (call, what, times = 1) => control('POST', 'faults', { call, times, ...what });

/** How often a call was executed or refused so far. */
export const calls = async (name) => (await control('GET', 'stats')).calls[name] ?? 0;

/** The error that something must end with. */
export async function refused(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`this must be refused and was not: ${JSON.stringify(value).slice(0, 200)}`);
}

/** Looks until something is there, within reason. */
export async function until(what, look) {
  for (let turn = 0; turn < 1000; turn += 1) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`never came: ${what}`);
}

const cases = [];

/** Adds a case. Its name says what a user gets. */
export const test = (name, run) => cases.push({ name, run });

/** Runs all cases one after the other and tells how each went. */
export async function run() {
  let failed = 0;
  for (const { name, run } of cases) {
    try {
      await run();
      console.log(JSON.stringify({ case: name, ok: true }));
    } catch (error) {
      failed += 1;
      console.log(JSON.stringify({ case: name, ok: false, error: String(error?.stack ?? error).slice(0, 4000) }));
    }
  }
  // The client leaves the answers that it tries again unread, and their connections would keep us for half a minute.
  process.stdout.write(`${JSON.stringify({ done: cases.length, failed })}\n`, () => process.exit(failed === 0 ? 0 : 1));
}
