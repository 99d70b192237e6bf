// What a backend can have done to unmodified clients of Socket.IO, on two instances that know each other by Redis.

import assert from 'node:assert/strict';
import { given, next, until, within } from './support.mjs';
import { answer, connected, heard } from './socketio_support.mjs';

const [urlA, urlB, key, way] = given('URL_A', 'URL_B', 'KEY', 'WAY');

async function api(method, body, url = urlB) {
  const headers = { 'X-API-Key': key };
  const response = await fetch(`${url}/api/${method}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const { result, error } = await response.json();
  assert.equal(error, undefined);
  return result;
}

const done = { status: 'ok' };
const ann = await connected(urlA, way);
const bob = await connected(urlB, way);
const eve = await connected(urlA, way);
for (const socket of [ann, bob, eve]) {
  assert.deepEqual(await answer(socket, 'join', 'room'), done);
}

// io.in('room').fetchSockets()
const sockets = (await api('clients', { channel: 'room' })).clients;
assert.deepEqual(sockets.map(({ id }) => id).sort(), [ann.id, bob.id, eve.id].sort());
assert.ok(sockets.every(({ namespace, endpoint }) => namespace === '/' && endpoint === 'socketio'));

// io.to('room').timeout(5000).emitWithAck('ready?', 1, bytes)
const bytes = { $binary: Buffer.from('abc').toString('base64') };
for (const [name, socket] of Object.entries({ ann, bob, eve })) {
  socket.on('ready?', (round, raw, tell) => tell({ name, round, raw: Buffer.from(raw).toString() }, 'and more'));
}
let { answers, missing } = await api('ask', { channel: 'room', data: ['ready?', 1, bytes], timeout: 5000 });
const of = (socket) => answers.find(({ client }) => client === socket.id).data;
assert.deepEqual([of(ann), of(bob), of(eve), missing],
  [...['ann', 'bob', 'eve'].map((name) => ({ name, round: 1, raw: 'abc' })), 0]);
({ answers, missing } = await api('ask', { clients: [bob.id, ann.id], data: ['ready?', 2, bytes] }, urlA));
assert.deepEqual([of(ann).round, of(bob).round, answers.length, missing], [2, 2, 2, 0]);
({ answers, missing } = await api('ask', { clients: [eve.id], data: ['nobody listens'], timeout: 50 }));
assert.deepEqual([answers, missing], [[], 1]);

// io.to('room').except(bob.id).except('quiet').emit('news')
assert.deepEqual(await answer(eve, 'join', 'quiet'), done);
for (const socket of [ann, bob, eve]) {
  socket.received.length = 0;
}
await api('publish', { channel: 'room', data: ['news', 1], except: { clients: [bob.id], channels: ['quiet'] } });
await api('publish', { channel: 'room', data: ['news', 2] });
assert.deepEqual(await heard(ann, 2), [['news', 1], ['news', 2]]);
assert.deepEqual(await heard(bob, 1), [['news', 2]]);
assert.deepEqual(await heard(eve, 1), [['news', 2]]);

// socket.disconnect(): out of one namespace, and the other goes on.
const staff = ann.io.socket('/staff');
await next(staff, 'connect');
let gone = next(staff, 'disconnect');
assert.deepEqual(await api('disconnect', { client: staff.id }), { disconnected: 1 });
assert.equal(await gone, 'io server disconnect');
assert.deepEqual(await answer(ann, 'join', 'another'), done);
staff.connect();
await next(staff, 'connect');

// socket.disconnect(true): both.
gone = Promise.all([next(ann, 'disconnect'), next(staff, 'disconnect')]);
assert.deepEqual(await api('disconnect', { client: ann.id, connection: true }), { disconnected: 1 });
assert.deepEqual(await gone, ['io server disconnect', 'io server disconnect']);

// One that is to come back does.
const back = next(bob, 'connect');
await api('disconnect', { client: bob.id, reconnect: true }, urlA);
await back;

bob.disconnect();
eve.disconnect();
await within('the end', until(() => !bob.connected && !eve.connected));
process.exit(0);
