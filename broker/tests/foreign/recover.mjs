// What the official client makes of a channel with history: it is cut off, messages are published meanwhile, and it
// comes back and has all of them. It says `subscribed` when it listens, and `lost` when it is cut off; the test
// publishes, cuts and mends.

import assert from 'node:assert/strict';
import { client, given, next, subscribed, until, within } from './support.mjs';

const [url, channel, missed] = given('URL', 'CHANNEL', 'HOW_MANY');

const ann = client(url);
ann.connect();
const hears = await subscribed(ann, channel);
console.log('subscribed');
await within('the first', until(() => hears.received.length === 1));
console.log('heard');

// Cut off, and back by itself.
const lost = next(hears, 'subscribing');
const back = next(hears, 'subscribed');
await lost;
console.log('lost');
const context = await back;
assert.equal(context.wasRecovering, true);
assert.equal(context.recovered, true);
await within('what was missed', until(() => hears.received.length === 1 + Number(missed)));
console.log('recovered');
await within('the last', until(() => hears.received.at(-1) === 'end'));
const expected = ['first', ...Array.from({ length: Number(missed) }, (_, number) => number), 'end'];
assert.deepEqual(hears.received, expected);

// What is kept, as it is asked for.
const all = await hears.history({ limit: -1 });
assert.deepEqual(all.publications.map((publication) => publication.data), expected);
assert.equal(all.offset, expected.length);
const { publications } = await hears.history({ limit: 2, reverse: true });
assert.deepEqual(publications.map((publication) => publication.offset), [all.offset, all.offset - 1]);
const since = { offset: 1, epoch: all.epoch };
const next_one = await hears.history({ limit: 1, since });
assert.deepEqual(next_one.publications.map((publication) => publication.data), [0]);

// One that begins where somebody else was.
const other = client(url);
other.connect();
const late = other.newSubscription(channel, { since });
const caught = [];
late.on('publication', (publication) => caught.push(publication.data));
const entered = next(late, 'subscribed');
late.subscribe();
assert.equal((await entered).recovered, true);
await within('what the other has missed', until(() => caught.length === expected.length - 1));
assert.deepEqual(caught, expected.slice(1));
other.disconnect();
ann.disconnect();
