// A client of Socket.IO that begins with requests and moves to a WebSocket, while it hears what is published.

import assert from 'node:assert/strict';
import { given, next, within } from './support.mjs';
import { answer, client, connected, heard } from './socketio_support.mjs';

const [url, room] = given('URL', 'ROOM');

const bob = await connected(url, 'websocket');
await answer(bob, 'join', room);
const ann = client(url, 'upgrade');
let began;
const upgraded = new Promise((resolve) => {
  ann.io.once('open', () => {
    began = ann.io.engine.transport.name;
    ann.io.engine.once('upgrade', resolve);
  });
});
await next(ann, 'connect');
assert.equal(began, 'polling');
await answer(ann, 'join', room);
const publishing = (async () => {
  for (let n = 0; n < 200; n++) {
    await answer(bob, 'publish', room, 'n', n);
  }
})();
await within('the upgrade', upgraded);
assert.equal(ann.io.engine.transport.name, 'websocket');
await publishing;
await heard(ann, 200);
assert.deepEqual(ann.received, Array.from({ length: 200 }, (_, n) => ['n', n]), 'nothing is lost or twice');
await answer(ann, 'publish', room, 'end');
await heard(bob, 1);
process.exit(0);
