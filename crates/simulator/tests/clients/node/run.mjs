// All cases of the Node client, in the order a newcomer would try things.
import './objects.mjs';
import './money.mjs';
import './lists.mjs';
import './billing.mjs';
import './failures.mjs';
import './webhooks.mjs';
import { run } from './harness.mjs';

await run();
