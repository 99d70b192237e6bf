// Members of a board on two instances, with the client of examples/board. The second URL is led to the first instance in
// the middle, when the script has said "together".

import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { Board } from '../../../examples/board/board.js';
import { given, until, within } from './support.mjs';

const [urlA, urlB, api, key] = given('URL_A', 'URL_B', 'API', 'KEY');
const member = (url, name) => new Board(url, { board: 'plan', name, color: '#e04010', user: `u-${name}`, WebSocket });
const so = (what, isSo) => within(what, until(isSo));
const names = (board) => [...board.members.values()].map(({ name }) => name).sort().join();
const seen = (board, name) => [...board.members.values()].find((one) => one.name === name);

const [ann, bob] = [member(urlA, 'Ann'), member(urlB, 'Bob')];
const heard = [];
ann.on('announcement', (announcement) => heard.push(announcement));
for (const board of [ann, bob]) {
  await so('all are there', () => names(board) === 'Ann,Bob');
}
assert.equal(ann.instance, 'chat-0');
assert.equal(bob.instance, 'chat-1');
assert.equal(seen(bob, 'Ann').color, '#e04010');
assert.equal(seen(bob, 'Ann').user, 'u-Ann');
assert.deepEqual([...ann.members.values()].filter(({ isMe }) => isMe).map(({ name }) => name), ['Ann']);

// Places are kept to a quarter, on all sides of the middle; the last of many gets through.
for (let x = 0; x < 500; x += 1) {
  ann.move(x, -x / 3);
}
ann.move(-1234.25, 70000.5);
await so('the last place', () => seen(bob, 'Ann').cursor?.x === -1234.25);
assert.deepEqual(seen(bob, 'Ann').cursor, { x: -1234.25, y: 70000.5 });
ann.hide();
await so('no place', () => seen(bob, 'Ann').cursor === null);
bob.move(0, -0.25);
bob.select('Fläche 7');
await so('a selection', () => seen(ann, 'Bob').selection === 'Fläche 7');
await so('a place', () => seen(ann, 'Bob').cursor?.y === -0.25);

const order = async (method, body) => {
  const headers = { 'X-API-Key': key, 'Content-Type': 'application/json' };
  const answer = await fetch(`${api}/${method}`, { method: 'POST', headers, body: JSON.stringify(body) });
  assert.ok((await answer.json()).result);
};
await order('publish', { channel: 'board:plan', data: { text: 'hello' } });
await so('an announcement', () => heard.length === 1);
assert.deepEqual(heard, [{ channel: 'board:plan', data: { text: 'hello' } }]);

// Enough members for a packed roster, and for packed news in between.
const many = Array.from({ length: 60 }, (_, i) => member(i % 2 ? urlA : urlB, `a member with a long name ${i}`));
await so('all of them', () => [ann, bob, ...many].every((board) => board.members.size === 62));
many.forEach((board, i) => board.move(i, i));
await so('all in their places', () => many.every((_, i) => {
  const cursor = seen(ann, `a member with a long name ${i}`).cursor;
  return cursor?.x === i && cursor?.y === i;
}));
many.forEach((board) => board.close());
await so('alone again', () => names(ann) === 'Ann,Bob' && names(bob) === 'Ann,Bob');

// What is refused ends the attempt, and says why.
const errors = [];
const refused = new Board(urlA, { board: 'plan', name: '', WebSocket });
refused.on('error', (error) => errors.push(error));
await so('a refusal', () => refused.status === 'closed');
assert.equal(errors[0].code, 107);

const statuses = [];
bob.on('status', (status) => statuses.push(status));
console.log('together');
// Bob's instance leaves; it comes back on the other one, where it was and with what it had selected.
await so('back', () => bob.status === 'joined' && bob.instance === 'chat-0');
assert.deepEqual(statuses, ['connecting', 'joined']);
for (const board of [ann, bob]) {
  await so('all are there again', () => names(board) === 'Ann,Bob');
}
await so('its place', () => seen(ann, 'Bob').cursor?.y === -0.25 && seen(ann, 'Bob').selection === 'Fläche 7');
bob.close();
await so('it is gone', () => names(ann) === 'Ann');
ann.close();
assert.equal(ann.status, 'closed');
process.exit(0);
