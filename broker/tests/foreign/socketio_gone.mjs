// Users whose instance goes: bob stays away and cid is on another one at once, while ann and dan look on from two others. It says
// `ready` on standard output when the instance may go.

import assert from 'node:assert/strict';
import { given, within } from './support.mjs';
import { answer, connected } from './socketio_support.mjs';

const [going, urlB, urlC, ...tokens] = given('URL_A', 'URL_B', 'URL_C', 'ANN', 'BOB', 'CID', 'DAN', 'EVE');
const [ann, bob, cid, dan, eve] = tokens.map((token) => ({ auth: { token }, reconnection: false }));

const watchers = [await connected(urlB, 'websocket', ann), await connected(urlC, 'websocket', dan)];
const told = (name, userId) => {
  const all = watchers.map((watcher) => new Promise((resolve) => {
    watcher.on(name, (what) => what.userId === userId && resolve(what));
  }));
  return within(`${userId}: ${name}`, Promise.all(all));
};
const came = Promise.all([told('userOnline', 'bob'), told('userOnline', 'cid')]);
await connected(going, 'websocket', bob);
const moves = await connected(going, 'websocket', cid);
await came;

const gone = told('userOffline', 'bob');
const moved = new Promise((resolve) => moves.on('disconnect', resolve)).then(() => connected(urlC, 'websocket', cid));
const before = Date.now();
console.log('ready');
await within('cid is back', moved);
const [{ lastSeen }, other] = await gone;
assert.equal(other.lastSeen, lastSeen);
assert.ok(lastSeen >= before - 20_000 && lastSeen <= Date.now());

const { users } = await answer(watchers[0], 'getLastSeen', { userIds: ['bob', 'cid', 'nobody'] });
assert.deepEqual(users, [
  { userId: 'bob', online: false, lastSeen },
  { userId: 'cid', online: true },
  { userId: 'nobody', online: false },
]);

// What comes behind all that was to be told of the two.
const last = told('userOnline', 'eve');
await connected(urlB, 'websocket', eve);
await last;
for (const watcher of watchers) {
  const of = (user) => watcher.received.filter(([, what]) => what.userId === user).map(([name]) => name);
  assert.deepEqual(of('bob'), ['userOnline', 'userOffline'], 'told once');
  assert.deepEqual(of('cid'), ['userOnline'], 'never away');
}
process.exit(0);
