// Two clients, on two instances or on one: subscribe, publish, presence, unsubscribe, disconnect.

import assert from 'node:assert/strict';
import { connected, given, next, received, refused, subscribed, within } from './support.mjs';

const [urlA, urlB, channel] = given('URL_A', 'URL_B', 'CHANNEL');

const [ann, bob] = [await connected(urlA), await connected(urlB)];
const annHears = await subscribed(ann, channel);
const bobHears = await subscribed(bob, channel);

// Both ways, through the subscription and through the client, and everybody hears everything once.
const messages = [{ text: 'grüße\n', n: 1 }, 'two', [3, null, 4.5], '', { 'push': {} }];
await annHears.publish(messages[0]);
await received(bobHears, messages.slice(0, 1));
for (const message of messages.slice(1)) {
  await bob.publish(channel, message);
}
await received(annHears, messages);
await received(bobHears, messages);

const { clients } = await within('presence', bobHears.presence());
const members = Object.keys(clients);
assert.equal(members.length, 2);
for (const member of members) {
  assert.equal(clients[member].client, member);
}
assert.deepEqual((await ann.presence(channel)).clients, clients, 'both instances know the same');
assert.deepEqual(await bobHears.presenceStats(), { numClients: 2, numUsers: 1 });

// Order, many at a time.
const many = Array.from({ length: 500 }, (_, n) => n);
await within('many publications', Promise.all(many.map((n) => annHears.publish(n))));
await received(bobHears, [...messages, ...many]);
await received(annHears, [...messages, ...many]);

const left = next(bobHears, 'unsubscribed');
bobHears.unsubscribe();
assert.equal((await left).code, 0);
// The command is on its way before the next of the same client.
assert.equal(await refused(bob.publish(channel, 'not a subscriber')), 103);
assert.deepEqual(await annHears.presenceStats(), { numClients: 1, numUsers: 1 });
await annHears.publish('alone');
await received(annHears, [...messages, ...many, 'alone']);

// Subscribing again begins anew.
bobHears.received.length = 0;
const back = next(bobHears, 'subscribed');
bobHears.subscribe();
await back;
await annHears.publish('together');
await received(bobHears, ['together']);

const gone = next(bob, 'disconnected');
bob.disconnect();
assert.equal((await gone).code, 0);
await within('bob is gone from presence', (async () => {
  while ((await annHears.presenceStats()).numClients > 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
})());
ann.disconnect();
