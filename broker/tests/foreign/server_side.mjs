// What the official client makes of subscriptions that the backend begins and ends.

import assert from 'node:assert/strict';
import { connected, given, next, subscribed, within } from './support.mjs';

const [url, api, key, token] = given('URL', 'API', 'KEY', 'TOKEN_OF_ANN');

async function call(method, body) {
  const headers = { 'X-API-Key': key };
  const answer = await within(method, fetch(`${api}/${method}`, { method: 'POST', headers, body: JSON.stringify(body) }));
  return (await answer.json()).result;
}

// A channel that nobody may subscribe to, and that the client did not ask for.
const ann = await connected(url, { token });
const inside = { user: 'ann', channel: 'inside:news' };
const begun = next(ann, 'subscribed');
assert.deepEqual(await call('subscribe', inside), { subscribed: 1 });
assert.equal((await begun).channel, 'inside:news');
const heard = next(ann, 'publication');
await call('publish', { channel: 'inside:news', data: { n: 1 } });
const { channel, data } = await heard;
assert.deepEqual([channel, data], ['inside:news', { n: 1 }]);
const ended = next(ann, 'unsubscribed');
assert.deepEqual(await call('unsubscribe', inside), { unsubscribed: 1 });
assert.equal((await ended).channel, 'inside:news');

// A subscription of the client's own: it stays away.
const own = await subscribed(ann, 'room');
const over = next(own, 'unsubscribed');
assert.deepEqual(await call('unsubscribe', { user: 'ann', channel: 'room' }), { unsubscribed: 1 });
const { code, reason } = await over;
assert.deepEqual([code, reason], [2000, 'server unsubscribe']);
assert.equal(ann.state, 'connected');
ann.disconnect();
