// One client of Socket.IO among clients of other protocols in one room. It says on standard output what happens to it, a
// line of JSON each: `{"joined":true}`, `{"event":[…]}` for each event that it hears, and `{"disconnect":REASON,
// "comesBack":…}` at its end. On the message "go" it emits so many events to all in the room, itself among them.

import assert from 'node:assert/strict';
import { given, next, within } from './support.mjs';
import { answer, client } from './socketio_support.mjs';

const [url, room, name, count] = given('URL', 'ROOM', 'NAME', 'COUNT');
const say = (line) => console.log(JSON.stringify(line));

const socket = client(url, 'websocket');
socket.onAny(async (...event) => {
  say({ event });
  if (event[0] === 'message' && event[1] === 'go') {
    const numbers = Array.from({ length: Number(count) }, (_, n) => n);
    const answers = numbers.map((n) => answer(socket, 'news', room, { from: name, n }));
    for (const { status } of await within('answers', Promise.all(answers))) {
      assert.equal(status, 'ok');
    }
  }
});
await next(socket, 'connect');
assert.equal((await answer(socket, 'join', room)).status, 'ok');
say({ joined: true });
const reason = await new Promise((resolve) => socket.once('disconnect', resolve));
say({ disconnect: reason, comesBack: socket.active });
process.exit(0);
