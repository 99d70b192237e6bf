// What the official client makes of the broker's refusals.

import assert from 'node:assert/strict';
import { client, connected, given, next, refused, subscribed } from './support.mjs';

const [url, strictUrl] = given('URL', 'URL_THAT_NEEDS_A_TOKEN');

const ann = await connected(url);
assert.equal(await refused(ann.publish('nowhere:at-all', 1)), 102);
assert.equal(await refused(ann.publish('not-subscribed', 1)), 103);
assert.equal(await refused(ann.presence('not-subscribed')), 103);
assert.equal(await refused(ann.history('not-subscribed', { limit: 1 })), 108);
assert.equal(await refused(ann.rpc('add', [1, 2])), 108);

const nowhere = ann.newSubscription('nowhere:at-all');
const over = next(nowhere, 'unsubscribed');
nowhere.subscribe();
assert.equal((await over).code, 102, 'it does not try again');

// None of this has cost the connection.
assert.equal(ann.state, 'connected');
const hears = await subscribed(ann, 'open');
await hears.publish(1);
await ann.send({ to: 'nobody' });
assert.deepEqual(await hears.presenceStats(), { numClients: 1, numUsers: 1 });
ann.disconnect();

// Without a token where one is needed, and with a bad one: the client stays away.
for (const [token, code] of [['', 3507], ['rubbish', 3500]]) {
  const turned = client(strictUrl, { token });
  const away = next(turned, 'disconnected');
  turned.connect();
  assert.equal((await away).code, code);
  assert.equal(turned.state, 'disconnected');
}
