// A conversation on the unmodified client of Socket.IO: rooms, events and answers, as they are configured from the start.

import { $, make, write } from '/pages/dom.js';
import { settings } from './settings.js';
import { People } from './people.js';

const NAME = 'switchboard-chat-name';
/** How often others hear that somebody types, and for how long that counts, in milliseconds. */
const TYPING = { told: 2000, shown: 3500 };
/** How often is asked who is here, in milliseconds. */
const ASKED = 4000;
const KEPT = 300;

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const socket = window.io({ ...settings, autoConnect: false });
const people = new People();
const typing = new Map();
let [me, room, toldTyping, wasHere] = [null, null, 0, false];

/** An event to the others of the conversation; its answer. */
const tell = (event, what) => socket.timeout(8000).emitWithAck('publish', room, event, what);

/** The name of a connection says which instance holds it, behind 22 characters that cannot be guessed. */
const instance = () => socket.io.engine?.id?.slice(22).split('-').slice(1).join('-') ?? '';

socket.on('connect', async () => {
  me.id = socket.id;
  me.instance = instance();
  status('connected', 'good');
  write($('place'), `served by ${me.instance}`);
  trouble(null);
  const joined = await answer(socket.timeout(8000).emitWithAck('join', room));
  if (joined.status !== 'ok') {
    return trouble(`The broker does not let you join: ${joined.message ?? joined.status}.`);
  }
  people.clear();
  people.met(me);
  if (wasHere) {
    news('You are back. What was said meanwhile is not here.');
  }
  wasHere = true;
  await answer(tell('hello', me));
  return look();
});
socket.on('disconnect', (reason) => {
  status('connection lost', 'bad');
  write($('place'), '');
  if (socket.active) {
    trouble('The connection is lost. Trying again …');
  } else {
    trouble(reason === 'io client disconnect' ? null : 'The server has ended the connection.');
  }
});
socket.on('connect_error', (error) => {
  status(socket.active ? 'connecting' : 'refused', socket.active ? 'warn' : 'bad');
  trouble(socket.active ? 'The broker cannot be reached. Trying again …' : `The broker refuses: ${error.message}.`);
});

socket.on('hello', (person) => {
  if (people.met(person)) {
    news(`${person.name} is here`);
  }
  tell('here', me);
  show();
});
socket.on('here', (person) => {
  people.met(person);
  show();
});
socket.on('bye', ({ id }) => {
  typing.delete(id);
  people.left(id).forEach(gone);
  show();
});
socket.on('message', ({ id, name, text, at }) => {
  typing.delete(id);
  add(name, text, at, false);
  show();
});
socket.on('typing', ({ id, name }) => {
  typing.set(id, { name, until: Date.now() + TYPING.shown });
  show();
});

async function answer(promise) {
  try {
    return await promise;
  } catch {
    return { status: 'no answer' };
  }
}

/** Who is here, on all instances, as the broker knows it. */
async function look() {
  if (!socket.connected) {
    return;
  }
  const { members } = await answer(socket.timeout(8000).emitWithAck('presence', room));
  if (members) {
    people.keep(new Set(members.map(({ client }) => client))).forEach(gone);
    show();
  }
}

function show() {
  const now = Date.now();
  [...typing].filter(([, { until }]) => until < now).forEach(([id]) => typing.delete(id));
  const names = [...typing.values()].map(({ name }) => name);
  write($('typing'), names.length === 0 ? '' : `${names.slice(0, 3).join(', ')} ${names.length === 1 ? 'is' : 'are'} typing …`);
  people.show($('people'), me?.id);
}

function line(className, ...inside) {
  const messages = $('messages');
  const isAtEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 60;
  const li = make('li', { className }, ...inside);
  messages.append(li);
  while (messages.children.length > KEPT) {
    messages.firstElementChild.remove();
  }
  if (isAtEnd || className === 'mine') {
    messages.scrollTop = messages.scrollHeight;
  }
  return li;
}

function add(name, text, at, isMine) {
  const when = make('time', { dateTime: new Date(at).toISOString() }, clock.format(at));
  return line(isMine ? 'mine' : '', make('div', { className: 'by' }, make('span', {}, isMine ? 'You' : String(name)), when),
    make('div', {}, String(text)));
}

const news = (text) => line('news', text);
const gone = ({ name }) => news(`${name} has gone`);

/** Says so to the others; whoever is lost without a word, the broker notices. */
function sayGoodbye() {
  if (socket.connected) {
    socket.emit('publish', room, 'bye', me);
  }
}

function status(text, colour) {
  write($('state'), text);
  $('state').className = `badge ${colour}`;
}

function trouble(text) {
  $('trouble').hidden = text === null;
  write($('trouble'), text ?? '');
}

$('door').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = $('name').value.trim();
  room = $('room').value.trim();
  if (name === '' || room === '') {
    return;
  }
  sessionStorage.setItem(NAME, name);
  me = { id: null, name, instance: '' };
  wasHere = false;
  $('messages').replaceChildren();
  $('door').hidden = true;
  $('floor').hidden = false;
  $('leave').hidden = false;
  write($('title'), room);
  status('connecting', 'warn');
  const token = $('token').value.trim();
  socket.auth = token === '' ? {} : { token };
  socket.connect();
  $('text').focus();
});
$('leave').addEventListener('click', () => {
  sayGoodbye();
  socket.disconnect();
  status('not connected', '');
  $('door').hidden = false;
  $('floor').hidden = true;
  $('leave').hidden = true;
  $('room').focus();
});
$('say').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (text === '') {
    return;
  }
  if (!socket.connected) {
    return trouble('There is no connection now: the message stays where you wrote it.');
  }
  $('text').value = '';
  toldTyping = 0;
  const at = Date.now();
  const li = add(me.name, text, at, true);
  const { status: outcome, message } = await answer(tell('message', { ...me, text, at }));
  if (outcome !== 'ok') {
    li.classList.add('failed');
    li.append(make('div', { className: 'small' }, `Not everybody has it: ${message ?? outcome}.`));
  }
});
$('text').addEventListener('input', () => {
  const now = Date.now();
  if (socket.connected && $('text').value !== '' && now - toldTyping > TYPING.told) {
    toldTyping = now;
    socket.volatile.emit('publish', room, 'typing', me);
  }
});
addEventListener('pagehide', sayGoodbye);
setInterval(look, ASKED);
setInterval(() => typing.size > 0 && show(), 500);
$('name').value = sessionStorage.getItem(NAME) ?? '';
