// The instances, and what is summed over them.

import { $, keyed, make, write } from '/pages/dom.js';
import { Chart } from './chart.js';
import { Rates, total } from './rates.js';
import { NONE, count, duration, rate, roundTrip, time } from './show.js';

/** How long an instance that has gone is still shown, in milliseconds. */
const REMEMBERED = 60_000;
const EVENTS = 6;

const COLUMNS = [
  ['Instance', 'first'], ['State', ''], ['Version', ''], ['Up', 'n'], ['Clients', 'n'], ['Channels', 'n'],
  ['Subscriptions', 'n'], ['Published/s', 'n'], ['Delivered/s', 'n'], ['Redis', 'n'], ['Failed', 'n'],
];

export class Instances {
  #rates = new Rates();
  #chart = new Chart($('chart'));
  /** By uid: the instance, and since when it has gone. */
  #known = new Map();
  #events = [];
  #channels = null;
  #isFirst = true;

  /** What the instances say now. Whether one of them is without Redis. */
  show(nodes) {
    const now = Date.now();
    const rates = this.#rates.take(nodes);
    this.#notice(nodes, now);
    nodes.forEach((node) => this.#known.set(node.uid, { node, gone: null }));
    const rows = [...this.#known.values()].sort((one, other) => one.node.uid.localeCompare(other.node.uid, 'en', { numeric: true }));
    keyed($('instances'), rows, ({ node }) => node.uid, row, (tr, known) => fill(tr, known, rates.get(known.node.uid), now));
    const sum = total(rates);
    this.#chart.add(sum);
    write($('delivered-now'), rate(sum?.delivered));
    write($('published-now'), rate(sum?.published));
    this.#sums(nodes, sum);
    return nodes.some((node) => node.redis?.connected === false);
  }

  /** Nothing is known of this moment. */
  miss() {
    this.#chart.add(null);
    for (const badge of $('instances').querySelectorAll('tr:not(.gone) .badge')) {
      write(badge, 'not known');
      badge.className = 'badge';
    }
  }

  /** How many channels there are, which instances alone do not know: several may have the same one. */
  set channels(number) {
    this.#channels = number;
  }

  #notice(nodes, now) {
    const here = new Set(nodes.map((node) => node.uid));
    const names = new Set([...this.#known.values()].filter((known) => !known.gone).map(({ node }) => node.name));
    for (const node of nodes) {
      const before = this.#known.get(node.uid);
      if (!this.#isFirst && (!before || before.gone)) {
        this.#tell(`${node.name} ${names.has(node.name) ? 'has started again' : 'is here'}`, now);
      }
    }
    for (const [uid, known] of this.#known) {
      if (here.has(uid)) {
        continue;
      }
      if (known.gone === null) {
        known.gone = now;
        this.#tell(`${known.node.name} has gone`, now);
      } else if (now - known.gone > REMEMBERED) {
        this.#known.delete(uid);
      }
    }
    this.#isFirst = false;
  }

  #tell(text, now) {
    this.#events = [{ text: `${time(now)}  ${text}`, key: `${now} ${text}` }, ...this.#events].slice(0, EVENTS);
    keyed($('events'), this.#events, ({ key }) => key, ({ text }) => make('li', {}, text), () => {});
  }

  #sums(nodes, rates) {
    const sum = (field) => nodes.reduce((all, node) => all + node[field], 0);
    const trips = nodes.map((node) => node.redis?.round_trip_us).filter((us) => us !== undefined);
    const failed = sum('num_failed');
    const sums = [
      ['Instances', count(nodes.length)],
      ['Clients', count(sum('num_clients'))],
      ['Channels', this.#channels === null ? NONE : count(this.#channels)],
      ['Subscriptions', count(sum('num_subs'))],
      ['Published/s', rate(rates?.published)],
      ['Delivered/s', rate(rates?.delivered)],
      ['Redis round trip', trips.length > 0 ? roundTrip(Math.max(...trips)) : NONE],
      ['Failed', count(failed), failed > 0],
    ];
    const create = ([name]) => make('div', {}, make('dt', {}, name), make('dd'));
    keyed($('sums'), sums, ([name]) => name, create, (div, [, text, isBad]) => {
      write(div.lastElementChild, text);
      div.classList.toggle('bad', isBad === true);
    });
  }
}

function row() {
  const tr = make('tr');
  for (const [label, className] of COLUMNS) {
    const td = make('td', { className });
    td.dataset.label = label;
    tr.append(td);
  }
  tr.children[1].append(make('span', { className: 'badge' }));
  return tr;
}

function state({ node, gone }, now) {
  if (gone !== null) {
    return [`gone ${duration((now - gone) / 1000)}`, 'bad'];
  }
  return node.redis?.connected === false ? ['without Redis', 'warn'] : ['running', 'good'];
}

function fill(tr, known, rates, now) {
  const { node, gone } = known;
  const [text, colour] = state(known, now);
  const badge = tr.children[1].firstElementChild;
  write(badge, text);
  badge.className = `badge ${colour}`;
  tr.className = gone === null ? '' : 'gone';
  const values = [
    node.name, null, node.version, duration(node.uptime), count(node.num_clients), count(node.num_channels),
    count(node.num_subs), rate(gone === null ? rates?.published : null), rate(gone === null ? rates?.delivered : null),
    roundTrip(node.redis?.round_trip_us), count(node.num_failed),
  ];
  values.forEach((value, column) => value !== null && write(tr.children[column], value));
  tr.lastElementChild.classList.toggle('failing', node.num_failed > 0 && gone === null);
}
