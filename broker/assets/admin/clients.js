// The clients, a page at a time, and the end of their connections.

import { $, keyed, make, write } from '/pages/dom.js';
import { NONE, ago, time } from './show.js';

const PAGE = 50;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const COLUMNS = [
  ['User', 'first'], ['Client', 'mono'], ['Instance', ''], ['Endpoint', ''], ['Connected', 'n'], ['Last message', 'n'],
  ['Metadata', 'notes'], ['', 'act'],
];

/** The id before this one: a list that goes on behind it begins with this one, if there is such a client. */
export function before(id) {
  const number = BigInt(`0x${id.replaceAll('-', '')}`);
  const hex = (number === 0n ? 0n : number - 1n).toString(16).padStart(32, '0');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

export class Clients {
  /** What the page begins behind; the ends of the pages before it. */
  #after = null;
  #next = null;
  #disconnect;

  /** `changed` is called when another list is wanted, `disconnect` with a client and whether it may come back. */
  constructor(changed, disconnect) {
    this.#disconnect = disconnect;
    const go = (after) => {
      this.#after = after;
      changed();
    };
    $('clients-form').addEventListener('submit', (event) => event.preventDefault());
    $('clients-text').addEventListener('input', () => go(null));
    $('clients-by').addEventListener('change', () => {
      $('clients-text').disabled = $('clients-by').value === 'anonymous';
      go(null);
    });
    $('clients-first').addEventListener('click', () => go(null));
    $('clients-next').addEventListener('click', () => go(this.#next));
  }

  /** What is asked; null where it cannot be anything. */
  get request() {
    const [by, text] = [$('clients-by').value, $('clients-text').value.trim()];
    const request = { limit: PAGE, ...(this.#after && { after: this.#after }) };
    if (by === 'anonymous') {
      return { ...request, user: '' };
    }
    if (text === '') {
      return request;
    }
    if (by !== 'id') {
      return { ...request, [by]: text };
    }
    const id = text.toLowerCase();
    return UUID.test(id) ? { limit: 1, after: before(id), only: id } : null;
  }

  /** Shows an answer, or nothing where nothing could be asked. */
  show(request, answer) {
    const now = Date.now();
    const found = (answer?.clients ?? []).filter((client) => !request.only || client.id === request.only);
    keyed($('clients'), found, ({ id }) => id, (client) => this.#row(client), (tr, client) => fill(tr, client, now));
    this.#next = request?.only ? null : answer?.next ?? null;
    $('clients-next').disabled = this.#next === null;
    $('clients-first').disabled = this.#after === null;
    const silent = answer?.silent?.length > 0 ? `Missing are the clients of ${answer.silent.join(', ')}: no answer.` : '';
    write($('clients-note'), request === null ? 'That is not a whole client id.' : silent || this.#said(request, found));
  }

  failed(why) {
    write($('clients-note'), why);
  }

  #said(request, found) {
    if (found.length > 0) {
      return '';
    }
    const isAll = Object.keys(request).every((key) => key === 'limit');
    return isAll ? 'No client is connected.' : 'No such client is connected.';
  }

  #row(client) {
    const tr = make('tr');
    for (const [label, className] of COLUMNS) {
      const td = make('td', { className });
      td.dataset.label = label;
      tr.append(td);
    }
    const name = client.user ?? 'anonymous';
    const button = make('button', { type: 'button', className: 'little bad' }, 'Disconnect');
    button.setAttribute('aria-label', `Disconnect ${name}, client ${client.id}`);
    button.addEventListener('click', () => this.#ask(client, name));
    tr.lastElementChild.append(button);
    return tr;
  }

  async #ask(client, name) {
    const sure = $('sure');
    write($('sure-title'), `Disconnect ${name}?`);
    write($('sure-text'), `Client ${client.id} on ${client.instance}, by ${client.endpoint}.`);
    $('sure-back').checked = false;
    sure.returnValue = '';
    sure.showModal();
    await new Promise((closed) => sure.addEventListener('close', closed, { once: true }));
    if (sure.returnValue === 'yes') {
      this.#disconnect(client, $('sure-back').checked);
    }
  }
}

function fill(tr, client, now) {
  const [user, id, instance, endpoint, connected, last, notes] = tr.children;
  write(user, client.user ?? 'anonymous');
  user.classList.toggle('muted', client.user === undefined);
  write(id, client.id);
  write(instance, client.instance);
  write(endpoint, client.endpoint);
  write(connected, ago(client.connected, now));
  connected.title = time(client.connected);
  write(last, client.last_message ? ago(client.last_message, now) : NONE);
  const metadata = Object.entries(client.metadata ?? {});
  notes.classList.toggle('empty', metadata.length === 0);
  keyed(notes, metadata, ([key]) => key, () => make('span'), (span, [key, value]) => write(span, `${key}: ${value}`));
}
