// The unmodified emitter, as a backend without any connection to the brokers but Redis: what it emits reaches the clients of
// both instances, each of them once.

import assert from 'node:assert/strict';
import { Emitter } from '@socket.io/redis-emitter';
import { createClient } from 'redis';
import { connected as centrifuge, given, next, received, subscribed, until, within } from './support.mjs';
import { answer, connected } from './socketio_support.mjs';

const [a, b, redisUrl, websocketUrl] = given('A', 'B', 'REDIS_URL', 'WEBSOCKET_URL');

const redis = await createClient({ url: redisUrl }).connect();
const emitter = new Emitter(redis);
const staff = emitter.of('/staff');

const ann = await connected(a, 'websocket');
const bob = await connected(b, 'websocket');
const eve = await connected(b, 'polling');
const dan = await connected(`${a}/staff`, 'websocket');
const all = { ann, bob, eve, dan };
for (const [socket, room] of [[ann, 'room'], [ann, 'other'], [bob, 'room'], [dan, 'desk']]) {
  assert.equal((await answer(socket, 'join', room)).status, 'ok');
}
const listener = await centrifuge(websocketUrl);
const subscription = await subscribed(listener, 'room');

// What each client got of it, and nothing else: the last event goes to all, and comes last.
async function reaches(emit, expected) {
  Object.values(all).forEach((socket) => { socket.received.length = 0; });
  emit();
  emitter.emit('end');
  staff.emit('end');
  const connectedOnes = Object.entries(all).filter(([, socket]) => socket.connected);
  await within('the end', until(() => connectedOnes.every(([, { received }]) => received.at(-1)?.[0] === 'end')));
  const got = connectedOnes.map(([name, { received }]) => [name, received.slice(0, -1)]);
  assert.deepEqual(Object.fromEntries(got.filter(([, events]) => events.length > 0)), expected);
}

const news = [['news', 'grüße', { n: 1.5, list: [-1, 2 ** 40, null, true] }]];
await reaches(() => emitter.emit(...news[0]), { ann: news, bob: news, eve: news });
await reaches(() => emitter.to('room').emit(...news[0]), { ann: news, bob: news });
await reaches(() => emitter.to('room').to('other').emit(...news[0]), { ann: news, bob: news });
await reaches(() => emitter.to(['nobody', 'none']).emit(...news[0]), {});
await reaches(() => emitter.except('other').emit(...news[0]), { bob: news, eve: news });
await reaches(() => emitter.to('room').except(bob.id).emit(...news[0]), { ann: news });
await reaches(() => emitter.to(eve.id).emit(...news[0]), { eve: news });
await reaches(() => emitter.to([ann.id, 'room']).emit(...news[0]), { ann: news, bob: news });
await reaches(() => staff.emit(...news[0]), { dan: news });
await reaches(() => staff.to('desk').emit(...news[0]), { dan: news });
await reaches(() => staff.to('room').emit(...news[0]), {});
const time = new Date(1_700_000_000_123);
await reaches(() => emitter.to(ann.id).emit('at', time), { ann: [['at', time.toISOString()]] });

// Who has not been given everything yet is passed over, and nobody is given it twice.
const mains = [ann, bob, eve];
mains.forEach((socket) => { socket.received.length = 0; });
let n = 0;
await within('a volatile event', until(() => {
  emitter.volatile.emit('volatile', n++);
  return mains.every(({ received }) => received.length > 0);
}));
emitter.emit('end');
await within('the end', until(() => mains.every(({ received }) => received.at(-1)[0] === 'end')));
for (const { received: got } of mains) {
  assert.equal(new Set(got.map(([, number]) => number)).size, got.length);
}

// Bytes are bytes, also where they were asked for by requests.
const bytes = [Buffer.from([0, 1, 255]), Buffer.alloc(20_000, 7)];
const file = [['file', bytes[0], { inner: bytes[1] }]];
await reaches(() => emitter.to([ann.id, eve.id]).emit(...file[0]), { ann: file, eve: file });

// Who listens to the room by another protocol heard what was for the room.
await received(subscription, Array(4).fill(news[0]));

// Into a room, and out of it.
const known = (event) => event[0] === 'subscribed' || event[0] === 'unsubscribed';
const told = (...sockets) => within('being told', until(() => sockets.every(({ received }) => received.some(known))));
for (const socket of Object.values(all)) {
  socket.received.length = 0;
}
emitter.in(eve.id).socketsJoin(['room', 'third']);
await within('being in both', until(() => eve.received.filter(known).length === 2));
await reaches(() => emitter.to('room').emit('joined'), { ann: [['joined']], bob: [['joined']], eve: [['joined']] });
await reaches(() => emitter.to('third').emit('joined'), { eve: [['joined']] });
for (const socket of Object.values(all)) {
  socket.received.length = 0;
}
emitter.in('room').except(ann.id).socketsLeave('room');
await told(bob, eve);
await reaches(() => emitter.to('room').emit('left'), { ann: [['left']] });

// What is none of this is refused, and the rest goes on.
await redis.publish('socket.io#/#', 'rubbish');
await redis.publish('socket.io#/#', Buffer.alloc(2 * 1024 * 1024, 0x91));
await redis.publish('socket.io-request#/#', '{"type":2,"rooms":1}');
emitter.serverSideEmit('hello');
await reaches(() => emitter.to('room').emit('still'), { ann: [['still']] });

// Out of a namespace, and away altogether.
const ends = (socket) => next(socket, 'disconnect');
const danEnds = ends(dan);
staff.disconnectSockets();
assert.equal(await danEnds, 'io server disconnect');
const bobEnds = ends(bob);
emitter.in(bob.id).disconnectSockets(true);
assert.equal(await bobEnds, 'io server disconnect');
await reaches(() => emitter.emit('last'), { ann: [['last']], eve: [['last']] });

listener.disconnect();
Object.values(all).forEach((socket) => socket.disconnect());
await redis.close();
