// Tokens: the client asks its application for a new one when the broker says that one has expired.

import assert from 'node:assert/strict';
import { client, given, next, received, until, within } from './support.mjs';

const [url, expired, short, long, channel, expiredGrant, grant] = given(
  'URL', 'EXPIRED', 'SHORT', 'LONG', 'CHANNEL', 'EXPIRED_GRANT', 'GRANT',
);

const tokens = [short, long];
const ann = client(url, { token: expired, getToken: async () => tokens.shift() });
const errors = [];
ann.on('error', (context) => errors.push(context.error.code));
let disconnects = 0;
ann.on('disconnected', () => { disconnects += 1; });

const first = next(ann, 'connected');
ann.connect();
await first;
assert.deepEqual(errors, [109], 'the expired token was answered so');
assert.deepEqual(tokens, [long], 'and a new one was asked for once');

// A subscription whose token has expired gets a new one in the same way.
const grants = [grant];
const hears = ann.newSubscription(channel, { token: expiredGrant, getToken: async () => grants.shift() });
hears.received = [];
hears.on('publication', (context) => hears.received.push(context.data));
const subscribed = next(hears, 'subscribed');
hears.subscribe();
await subscribed;
assert.deepEqual(grants, []);
await hears.publish('early');
await received(hears, ['early']);

// The short token ends while the client is connected: it brings the long one, and stays.
ann.on('connecting', (context) => { throw new Error(`it had to come back: ${context.code}`); });
await within('the long token is asked for', until(() => tokens.length === 0));
await hears.publish('late');
await received(hears, ['early', 'late']);
assert.equal(disconnects, 0, 'the application never saw it disconnected');
ann.disconnect();

// Subscriptions that were asked for before the connection leave in one frame with the expired token.
const renewals = [long];
const back = client(url, { token: expired, getToken: async () => renewals.shift() });
back.on('disconnected', () => { disconnects += 1; });
const waiting = back.newSubscription(channel, { token: grant });
waiting.received = [];
waiting.on('publication', (context) => waiting.received.push(context.data));
waiting.subscribe();
back.connect();
await within('the subscription that waited', waiting.ready());
await waiting.publish('together');
await received(waiting, ['together']);
assert.deepEqual(renewals, [], 'the broker had asked for a new token');
assert.equal(disconnects, 1, 'only the one that was asked for');
back.disconnect();
