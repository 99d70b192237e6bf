// The batching API: several commands leave in one frame and are answered each.

import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { client, given, next, received, subscribed, within } from './support.mjs';

const [url, channel] = given('URL', 'CHANNEL');

const frames = [];
class Counted extends WebSocket {
  send(data, ...more) {
    frames.push(data);
    return super.send(data, ...more);
  }
}

const ann = client(url, { websocket: Counted });
const connected = next(ann, 'connected');
ann.connect();
await connected;
const hears = await subscribed(ann, channel);

const before = frames.length;
const replies = [];
ann.startBatching();
for (let n = 0; n < 50; n += 1) {
  replies.push(ann.publish(channel, n));
}
replies.push(ann.presenceStats(channel));
ann.stopBatching();
const answers = await within('replies to a batch', Promise.all(replies));
assert.equal(frames.length, before + 1, 'one frame');
assert.deepEqual(answers[50], { numClients: 1, numUsers: 1 });
await received(hears, Array.from({ length: 50 }, (_, n) => n));

// One refused command in the middle leaves the others alone.
ann.startBatching();
const mixed = Promise.allSettled([
  ann.publish(channel, 'before'),
  ann.publish('nowhere:at-all', 'lost'),
  ann.publish(channel, 'behind'),
]);
ann.stopBatching();
const outcomes = await within('replies to a mixed batch', mixed);
assert.deepEqual(outcomes.map((outcome) => outcome.status), ['fulfilled', 'rejected', 'fulfilled']);
assert.equal(outcomes[1].reason.code, 102);
await received(hears, [...Array.from({ length: 50 }, (_, n) => n), 'before', 'behind']);
ann.disconnect();
