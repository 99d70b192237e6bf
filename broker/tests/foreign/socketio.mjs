// The unmodified client of Socket.IO: rooms, answers both ways, bytes, namespaces, refusals, and one channel shared with a
// client of another protocol and the server API. The URL may lead to several instances, each request to another one.

import assert from 'node:assert/strict';
import { connected as centrifuge, given, next, received, subscribed, until, within } from './support.mjs';
import { answer, client, connected, heard } from './socketio_support.mjs';

const [url, way, room, apiUrl, key, websocketUrl, token] =
  given('URL', 'WAY', 'ROOM', 'API_URL', 'KEY', 'WEBSOCKET_URL', 'TOKEN');

async function api(method, body) {
  const headers = { 'X-API-Key': key };
  const response = await fetch(`${apiUrl}/${method}`, { method: 'POST', headers, body: JSON.stringify(body) });
  return (await response.json()).result;
}

const done = { status: 'ok' };
const ann = await connected(url, way, { auth: { token } });
const bob = await connected(url, way);
const eve = await connected(url, way);
assert.notEqual(ann.id, bob.id);
if (way === 'upgrade') {
  // On whatever instance the WebSocket has landed.
  await within('the upgrades', until(() =>
    [ann, bob, eve].every((socket) => socket.io.engine.transport.name === 'websocket')));
}

// Rooms: who is in it hears what others say in it, and nobody else does.
assert.deepEqual(await answer(ann, 'join', room), done);
assert.deepEqual(await answer(bob, 'join', room), done);
assert.deepEqual(await answer(bob, 'join', room), done, 'joining twice is joining');
assert.deepEqual(await answer(ann, 'publish', room, 'news', 'grüße\n', { n: 1.5 }, null), done);
assert.deepEqual(await heard(bob, 1), [['news', 'grüße\n', { n: 1.5 }, null]]);
const refused = await answer(eve, 'publish', room, 'news');
assert.deepEqual([refused.status, refused.code], ['error', 103]);
const unknown = await answer(ann, 'something else');
assert.deepEqual([unknown.status, unknown.code], ['error', 104]);
const nameless = await answer(ann, 'join');
assert.deepEqual([nameless.status, nameless.code], ['error', 107]);

// Order, many at a time.
for (let n = 0; n < 300; n++) {
  ann.emit('publish', room, 'n', n);
}
await heard(bob, 301);
assert.deepEqual(bob.received.slice(1), Array.from({ length: 300 }, (_, n) => ['n', n]));
assert.deepEqual(ann.received, [], 'who publishes does not hear it');

// Bytes stay bytes, in their places.
bob.received.length = 0;
const bytes = [Buffer.from([0, 1, 2, 255]), Buffer.alloc(40_000, 7), Buffer.alloc(0)];
await answer(ann, 'publish', room, 'files', bytes[0], { list: [bytes[1], 'text', bytes[2]] });
const [[, first, { list }]] = await heard(bob, 1);
assert.deepEqual([Buffer.from(first), Buffer.from(list[0]), list[1], Buffer.from(list[2])],
  [bytes[0], bytes[1], 'text', bytes[2]]);

// Answers the other way: everybody in the room but the asker is asked.
const dan = await connected(url, way);
await answer(dan, 'join', room);
bob.on('who are you', (greeting, tell) => tell({ bob: greeting, raw: Buffer.from('b') }));
dan.on('who are you', (greeting, tell) => tell({ dan: greeting }));
ann.on('who are you', () => assert.fail('nobody asks himself'));
const asked = await answer(ann, 'ask', room, 'who are you', 'hello');
assert.equal(asked.missing, 0);
const [ofBob, ofDan] = asked.answers.sort((a, b) => Object.keys(a)[0].localeCompare(Object.keys(b)[0]));
assert.deepEqual([ofBob.bob, Buffer.from(ofBob.raw), ofDan], ['hello', Buffer.from('b'), { dan: 'hello' }]);

const { members } = await answer(ann, 'presence', room);
assert.deepEqual(members.map(({ client }) => client).sort(), [ann.id, bob.id, dan.id].sort());
assert.deepEqual(members.filter(({ user }) => user === 'ann').map(({ client }) => client), [ann.id]);

// Leaving.
bob.received.length = 0;
assert.deepEqual(await answer(bob, 'leave', room), done);
await answer(ann, 'publish', room, 'alone');
await heard(dan, 1);
assert.deepEqual(await answer(bob, 'join', room), done);
await answer(ann, 'publish', room, 'together');
assert.deepEqual(await heard(bob, 1), [['together']]);

// Namespaces on one connection: /staff has rooms of its own, which are channels of the namespace `staff`.
const staff = ann.io.socket('/staff');
await next(staff, 'connect');
assert.notEqual(staff.id, ann.id);
const other = await connected(`${url}/staff`, way);
other.received = [];
assert.deepEqual(await answer(staff, 'join', room), done);
assert.deepEqual(await answer(other, 'join', room), done);
other.onAny((...event) => other.received.push(event));
const hears = next(staff, 'idea');
await answer(other, 'publish', room, 'idea', 1);
assert.equal(await hears, 1);
bob.received.length = 0;
const ideas = next(other, 'idea');
await api('publish', { channel: `staff:${room}`, data: ['idea', 2] });
assert.equal(await ideas, 2);
const nowhere = ann.io.socket('/nowhere');
assert.equal((await next(nowhere, 'connect_error')).message, 'Invalid namespace');
staff.disconnect();
other.disconnect();

// Who may not come is told so, and the connection goes on without.
const mallory = client(url, way, { auth: { token: 'a.b.c' } });
const why = await next(mallory, 'connect_error');
assert.deepEqual([why.message, why.data], ['invalid token', { code: 3500 }]);
mallory.disconnect();

// One channel with others: the broker's own protocol, and the server API.
dan.received.length = 0;
ann.received.length = 0;
const cid = await centrifuge(websocketUrl);
const subscription = await subscribed(cid, room);
assert.deepEqual(bob.received, [], 'nothing of another namespace');
await subscription.publish(['greeting', { of: 'cid' }]);
await subscription.publish({ no: 'event' });
await api('publish', { channel: room, data: ['greeting', { of: 'the backend' }] });
const expected = [['greeting', { of: 'cid' }], ['message', { no: 'event' }], ['greeting', { of: 'the backend' }]];
for (const socket of [ann, bob, dan]) {
  // What different publishers say at once may come in another order.
  assert.deepEqual((await heard(socket, 3)).toSorted(), expected.toSorted());
}
await answer(ann, 'publish', room, 'from', 'ann', Buffer.from([1, 2]));
await received(subscription,
  [['greeting', { of: 'cid' }], { no: 'event' }, ['greeting', { of: 'the backend' }], ['from', 'ann', { $binary: 'AQI=' }]]);
cid.disconnect();
await heard(dan, 4);

// To one client alone, and its end, from the backend.
dan.received.length = 0;
await api('send', { clients: [dan.id], data: ['for you', 1] });
assert.deepEqual(await heard(dan, 1), [['for you', 1]]);
const gone = next(dan, 'disconnect');
assert.deepEqual(await api('disconnect', { client: dan.id }), { disconnected: 1 });
assert.equal(await gone, 'io server disconnect');

const left = within('the room is empty but for one', (async () => {
  for (let members = []; members.length !== 1;) {
    ({ members } = await answer(ann, 'presence', room));
  }
})());
bob.disconnect();
await left;
ann.disconnect();
eve.disconnect();
await within('the end', until(() => !ann.connected));
process.exit(0);
