// A chat as its pages speak to it, on the profile `chat`: two users on two instances, or wherever the URLs lead them.

import assert from 'node:assert/strict';
import { given, next, within } from './support.mjs';
import { answer, connected } from './socketio_support.mjs';

const [urlA, urlB, tokenA, tokenB, way] = given('URL_A', 'URL_B', 'TOKEN_ANN', 'TOKEN_BOB', 'WAY');
const begun = Date.now();

const ann = await connected(urlA, way, { auth: { token: tokenA } });
const comes = next(ann, 'userOnline');
const bob = await connected(urlB, way, { auth: { token: tokenB } });
const { userId, timestamp } = await comes;
assert.equal(userId, 'bob');
assert.ok(timestamp >= begun - 1000);
// What one instance has just told Redis another one may read a moment later.
await within('both are online', (async () => {
  for (let online = ''; online !== 'ann,bob';) {
    const { members } = await answer(bob, 'getOnlineUsers');
    online = members.map(({ user }) => user).sort().join();
  }
})());

// As an object, and as the identity alone.
assert.deepEqual(await answer(ann, 'joinConversation', { conversationId: 7 }), { status: 'ok' });
assert.deepEqual(await answer(bob, 'joinConversation', '7'), { status: 'ok' });

const typing = next(bob, 'userTyping');
// Who has not read all yet does without: it is said again, as by somebody who goes on typing.
const goesOn = setInterval(() => ann.emit('typing', { conversationId: 7, isTyping: true }), 50);
const { isTyping, user } = await typing;
clearInterval(goesOn);
assert.deepEqual([isTyping, user], [true, 'ann']);

const [toBob, toAnn] = [next(bob, 'newMessage'), next(ann, 'newMessage')];
const sent = await answer(ann, 'sendMessage', { conversationId: 7, content: 'hello', user: 'somebody else' });
const message = await toBob;
assert.deepEqual(await toAnn, message, 'the sender gets it as all others do');
assert.deepEqual([message.content, message.user, message.conversationId], ['hello', 'ann', 7]);
assert.deepEqual([message.id, message.timestamp], [sent.id, sent.timestamp]);

assert.deepEqual(await answer(bob, 'leaveConversation', { conversationId: 7 }), { status: 'ok' });
assert.equal((await answer(bob, 'sendMessage', { conversationId: 7, content: 'late' })).status, 'error');

// A second tab of bob's: he is online until both are closed.
ann.on('userOnline', () => assert.fail('bob was online'));
const tab = await connected(urlA, way, { auth: { token: tokenB } });
await answer(tab, 'getOnlineUsers');
let offline = 0;
ann.on('userOffline', () => offline++);
bob.disconnect();
for (let count = 3; count > 2;) {
  count = (await answer(ann, 'getOnlineUsers')).members.length;
}
assert.equal(offline, 0);
const goes = next(ann, 'userOffline');
// The page is loaded again: he was never away.
tab.disconnect();
const again = await connected(urlA, way, { auth: { token: tokenB } });
const of = async (...userIds) => (await answer(ann, 'getLastSeen', { userIds })).users;
assert.deepEqual(await of('bob', 'ann'), [{ userId: 'bob', online: true }, { userId: 'ann', online: true }]);
again.disconnect();
const { userId: gone, lastSeen } = await goes;
assert.equal(gone, 'bob');
assert.ok(lastSeen >= timestamp);
assert.equal(offline, 1);
assert.deepEqual(await of('bob', 'nobody'), [
  { userId: 'bob', online: false, lastSeen },
  { userId: 'nobody', online: false },
]);
assert.equal((await answer(ann, 'getLastSeen', { userIds: 7 })).code, 107);

// Who is nobody is told of nobody.
const anonymous = await connected(urlA, way);
assert.equal((await answer(anonymous, 'getLastSeen', { userIds: ['bob'] })).code, 103);
// In order, and the script ends with the last connection.
anonymous.disconnect();
ann.disconnect();
