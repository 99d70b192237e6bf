// A conversation on the unmodified client of Socket.IO: rooms, events and answers, as they are configured from the start or
// in the profile `chat`.

import { $, make, write } from '/pages/dom.js';
import { badge, relief, trouble } from '/pages/demo/demo.js';
import { settings } from './settings.js';
import { People } from './people.js';
import { talk } from './talk.js';

const NAME = 'switchboard-chat-name';
/** How often others hear that somebody types, and for how long that counts, in milliseconds. */
const TYPING = { told: 2000, shown: 3500 };
/** How often is asked who is here, in milliseconds. */
const ASKED = 4000;
/** How long it may take until all instances know again who is where, in milliseconds. */
const SETTLED = 8000;
const KEPT = 300;

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const socket = window.io({ ...settings.client, autoConnect: false });
const people = new People((time) => clock.format(time));
const typing = new Map();
let [me, room, toldTyping, wasHere, isAlone, sinceTogether] = [null, null, 0, false, false, 0];

const HEARD = {
  hello(person) {
    if (people.met(person)) {
      news(`${person.name} is here`);
    }
    say.tell(room, 'here', me);
  },
  here: (person) => people.met(person),
  bye({ id }) {
    typing.delete(id);
    people.left(id).forEach(gone);
  },
  typing: ({ id, name }) => typing.set(id, { name, until: Date.now() + TYPING.shown }),
  message({ id, name, text, at }) {
    typing.delete(id);
    add(name, text, at, false);
  },
};
const say = talk(socket, settings.profile, (word, what) => {
  if (Object.hasOwn(HEARD, word) && what && what.id !== me?.id) {
    HEARD[word](what);
    show();
  }
});

/** The name of a connection says which instance holds it, behind 22 characters that cannot be guessed. */
const instance = () => socket.io.engine?.id?.slice(22).split('-').slice(1).join('-') ?? '';

socket.on('connect', async () => {
  [me.id, me.instance, isAlone] = [socket.id, instance(), false];
  badge('connected', 'good');
  write($('place'), `served by ${me.instance}`);
  trouble(null);
  const joined = await say.join(room);
  if (joined.status !== 'ok') {
    return trouble(`The broker does not let you join: ${joined.message ?? joined.status}.`);
  }
  people.clear();
  people.met(me);
  if (wasHere) {
    news('You are back. What was said meanwhile is not here.');
  }
  wasHere = true;
  await say.tell(room, 'hello', me);
  return look();
});
socket.on('disconnect', (reason) => {
  badge('connection lost', 'bad');
  write($('place'), '');
  if (socket.active) {
    trouble('The connection is lost. Trying again …');
  } else {
    trouble(reason === 'io client disconnect' ? null : 'The server has ended the connection.');
  }
});
socket.on('connect_error', (error) => {
  badge(socket.active ? 'connecting' : 'refused', socket.active ? 'warn' : 'bad');
  trouble(socket.active ? 'The broker cannot be reached. Trying again …' : `The broker refuses: ${error.message}.`);
});
socket.on('instanceAlone', () => {
  isAlone = true;
  badge('cut off', 'warn');
  trouble(`${me.instance} has lost the other instances. People on ${me.instance} hear you; the others do not, and you do not hear them.`, 'warn');
  show();
});
socket.on('instanceTogether', () => {
  [isAlone, sinceTogether] = [false, Date.now()];
  badge('connected', 'good');
  relief('The instances are together again. What was said on others meanwhile is not here.');
  return look();
});

/** Who is here, on all instances, as the broker knows it. */
async function look() {
  if (!socket.connected) {
    return;
  }
  const { members } = await say.members(room);
  if (members) {
    const isUnsure = isAlone || Date.now() - sinceTogether < SETTLED;
    const { left, unknown } = people.keep(new Set(members.map(({ client }) => client)), isUnsure ? me.instance : null);
    left.forEach(gone);
    if (unknown) {
      say.tell(room, 'hello', me);
    }
    show();
  }
}

function show() {
  const now = Date.now();
  [...typing].filter(([, { until }]) => until < now).forEach(([id]) => typing.delete(id));
  const names = [...typing.values()].map(({ name }) => name);
  write($('typing'), names.length === 0 ? '' : `${names.slice(0, 3).join(', ')} ${names.length === 1 ? 'is' : 'are'} typing …`);
  people.show($('people'), me, isAlone);
}

function line(className, ...inside) {
  const messages = $('messages');
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

/** Who reads the end goes on reading it, also where the list gets smaller. */
let isAtEnd = true;
$('messages').addEventListener('scroll', ({ target }) => {
  isAtEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 60;
});
new ResizeObserver(() => {
  if (isAtEnd) {
    $('messages').scrollTop = $('messages').scrollHeight;
  }
}).observe($('messages'));

const news = (text) => line('news', text);
const gone = ({ name }) => news(`${name} has gone`);

/** Says so to the others; whoever is lost without a word, the broker notices. */
function sayGoodbye() {
  if (socket.connected) {
    say.part(room, me);
  }
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
  badge('connecting', 'warn');
  const token = $('token').value.trim();
  socket.auth = token === '' ? {} : { token };
  socket.connect();
  $('text').focus();
});
$('leave').addEventListener('click', () => {
  sayGoodbye();
  socket.disconnect();
  badge('not connected', '');
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
  const li = add(me.name, text, Date.now(), true);
  const { status: outcome, message } = await say.say(room, { ...me, text });
  if (outcome !== 'ok') {
    li.classList.add('failed');
    const why = isAlone ? `Only those on ${me.instance} have it.` : `Not everybody has it: ${message ?? outcome}.`;
    li.append(make('div', { className: 'small' }, why));
  }
});
$('text').addEventListener('input', () => {
  const now = Date.now();
  if (socket.connected && $('text').value !== '' && now - toldTyping > TYPING.told) {
    toldTyping = now;
    say.type(room, me);
  }
});
addEventListener('pagehide', sayGoodbye);
setInterval(look, ASKED);
setInterval(() => typing.size > 0 && show(), 500);
$('name').value = sessionStorage.getItem(NAME) ?? '';
