// The channels that have subscribers, the largest first.

import { $, keyed, make, write } from '/pages/dom.js';
import { count } from './show.js';

/** So many are shown; a search finds the others. */
const SHOWN = 60;

/** What is searched for: part of a name, unless it says itself what stands for anything. */
export function pattern(text) {
  const wanted = text.trim();
  return wanted === '' || /[*?]/.test(wanted) ? wanted || '*' : `*${wanted}*`;
}

export class Channels {
  constructor(searched) {
    $('channels-form').addEventListener('submit', (event) => event.preventDefault());
    $('channels-pattern').addEventListener('input', searched);
  }

  /** What is asked. */
  get request() {
    return { pattern: pattern($('channels-pattern').value) };
  }

  /** Shows an answer; how many channels there are in all, where that was asked. */
  show(request, { channels }) {
    const all = Object.entries(channels).map(([name, { num_clients }]) => ({ name, clients: num_clients }));
    all.sort((one, other) => other.clients - one.clients || one.name.localeCompare(other.name, 'en', { numeric: true }));
    const create = ({ name }) => make('li', {}, make('span', {}, name), make('span', { className: 'muted' }));
    keyed($('channels'), all.slice(0, SHOWN), ({ name }) => name, create, (li, { clients }) => write(li.lastElementChild, count(clients)));
    write($('channels-count'), count(all.length));
    const isAll = request.pattern === '*';
    if (all.length === 0) {
      write($('channels-note'), isAll ? 'No channel has a subscriber.' : 'No channel with a subscriber is called that.');
    } else {
      write($('channels-note'), all.length > SHOWN ? `and ${count(all.length - SHOWN)} more: search for them` : '');
    }
    return isAll ? all.length : null;
  }

  failed(why) {
    write($('channels-note'), why);
  }
}
