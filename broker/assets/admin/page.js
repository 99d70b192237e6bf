// The page as a whole: the key, what is asked when, and what is said when there is no answer.

import { $, write } from '/pages/dom.js';
import { NoAnswer, Refused, WrongKey, call } from './api.js';
import { Channels } from './channels.js';
import { Clients } from './clients.js';
import { Instances } from './instances.js';
import { time } from './show.js';

const KEPT = 'switchboard-api-key';

/** How often is asked, in milliseconds. Lists can be long: what takes time is asked less often. */
const EVERY = { info: 2000, channels: 4000, clients: 3000 };
const SHARE = 20;

let key = null;
let lastAnswer = null;

const loops = {
  info: loop('info', showInfo),
  channels: loop('channels', showChannels),
  clients: loop('clients', showClients),
};
const instances = new Instances();
const channels = new Channels(loops.channels.now);
const clients = new Clients(loops.clients.now, disconnect);

/** Does `action` again and again while there is a key and somebody looks. */
function loop(name, action) {
  let [timer, turn] = [null, 0];
  async function now() {
    clearTimeout(timer);
    turn += 1;
    const mine = turn;
    if (key === null || document.hidden) {
      return;
    }
    const began = performance.now();
    // An answer to what is not asked any more is passed over.
    await action(() => mine === turn && key !== null);
    if (mine === turn) {
      timer = setTimeout(now, Math.max(EVERY[name], SHARE * (performance.now() - began)));
    }
  }
  return { now };
}

async function showInfo(isWanted) {
  try {
    const { nodes } = await call(key, 'info');
    if (!isWanted()) {
      return;
    }
    const isAlone = instances.show(nodes);
    lastAnswer = Date.now();
    trouble(isAlone ? 'Redis is away. Each instance serves its own clients; nothing crosses between them.' : null);
    status(isAlone ? 'Redis is away' : 'live', isAlone ? 'warn' : 'good');
  } catch (error) {
    if (isWanted()) {
      instances.miss();
      explain(error);
    }
  }
}

async function showChannels(isWanted) {
  const { request } = channels;
  try {
    const answer = await call(key, 'channels', request);
    if (isWanted()) {
      const all = channels.show(request, answer);
      if (all !== null) {
        instances.channels = all;
      }
    }
  } catch (error) {
    if (isWanted()) {
      channels.failed('Channels are not known for now.');
    }
  }
}

async function showClients(isWanted) {
  const { request } = clients;
  if (request === null) {
    return clients.show(null, null);
  }
  const { only, ...asked } = request;
  try {
    const answer = await call(key, 'clients', asked);
    if (isWanted()) {
      clients.show(request, answer);
    }
  } catch (error) {
    if (isWanted()) {
      clients.failed('Clients are not known for now.');
    }
  }
}

async function disconnect(client, reconnect) {
  try {
    await call(key, 'disconnect', { client: client.id, reconnect });
  } catch (error) {
    clients.failed(`It could not be disconnected: ${error.message || 'no answer'}.`);
    return;
  }
  loops.clients.now();
  loops.info.now();
  // Its row, which had the focus, is about to go.
  $('clients-text').focus();
}

function explain(error) {
  const since = lastAnswer === null ? '' : ` Numbers are of ${time(lastAnswer)}.`;
  if (error instanceof WrongKey) {
    leave('The broker does not know this key any more.');
  } else if (error instanceof Refused && error.isTemporary) {
    trouble(`Redis is away. Instances serve their own clients; nothing crosses between them.${since}`);
    status('Redis is away', 'warn');
  } else {
    trouble(error instanceof NoAnswer ? `The broker does not answer; trying again.${since}` : `The broker refuses: ${error.message}.${since}`);
    status('no answer', 'bad');
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

function enter(accepted) {
  key = accepted;
  sessionStorage.setItem(KEPT, accepted);
  $('door').hidden = true;
  $('floor').hidden = false;
  $('leave').hidden = false;
  Object.values(loops).forEach(({ now }) => now());
}

function leave(why) {
  key = null;
  sessionStorage.removeItem(KEPT);
  $('door').hidden = false;
  $('floor').hidden = true;
  $('leave').hidden = true;
  status('not signed in', '');
  complain(why);
  $('key').value = '';
  $('key').focus();
}

function complain(text) {
  $('key-trouble').hidden = text === null;
  write($('key-trouble'), text ?? '');
}

/** Tries a key. One that cannot be tried now is kept: the page says what is wrong, and goes on asking. */
async function open(tried) {
  try {
    await call(tried, 'info');
  } catch (error) {
    if (error instanceof WrongKey) {
      sessionStorage.removeItem(KEPT);
      complain('This key is wrong. Use one of auth.api_keys of the broker.');
      $('key').select();
      return false;
    }
  }
  complain(null);
  enter(tried);
  return true;
}

$('key-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  if (await open($('key').value.trim())) {
    $('rate-title').focus();
  }
});
$('leave').addEventListener('click', () => leave(null));
document.addEventListener('visibilitychange', () => Object.values(loops).forEach(({ now }) => now()));

const kept = sessionStorage.getItem(KEPT);
if (kept !== null) {
  open(kept);
}
