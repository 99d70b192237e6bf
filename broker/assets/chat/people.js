// Who is in the conversation: names are what people say of themselves, who is there is what the broker says.

import { keyed, make, write } from '/pages/dom.js';

/** How long somebody who has gone is still shown, in milliseconds. */
const REMEMBERED = 60_000;
/** Whoever has just come may not be among those that the broker names yet. */
const NEW = 3000;
/** Who is there and has not said who they are, as when their instance was killed. */
const NOBODY = 'Somebody';

export class People {
  #known = new Map();
  #clock;

  /** `clock` writes a time. */
  constructor(clock) {
    this.#clock = clock;
  }

  clear() {
    this.#known.clear();
  }

  /** Somebody says who they are; whether that is news. */
  met({ id, name, instance }) {
    const before = this.#known.get(id);
    this.#known.set(id, { id, name: String(name), instance: String(instance), since: before?.since ?? Date.now(), gone: null });
    return before === undefined || before.gone !== null;
  }

  /** Somebody says goodbye; who, if they were here. */
  left(id) {
    const person = this.#known.get(id);
    if (!person || person.gone !== null) {
      return [];
    }
    person.gone = Date.now();
    return [person];
  }

  /**
   * Only those who are there: who has gone since the last time, and whether somebody there has not said who they are. Where an
   * instance is given, only of those on it is that known.
   */
  keep(there, instance) {
    const now = Date.now();
    const left = [];
    for (const [id, person] of this.#known) {
      if (there.has(id)) {
        // Somebody who was not to be seen for a while, as when Redis was away.
        person.gone = person.gone !== null && now - person.gone > NEW ? null : person.gone;
        continue;
      }
      if (now - person.since < NEW || (instance !== null && person.instance !== instance)) {
        continue;
      }
      if (person.name === NOBODY) {
        this.#known.delete(id);
      } else if (person.gone === null) {
        person.gone = now;
        left.push(person);
      } else if (now - person.gone > REMEMBERED) {
        this.#known.delete(id);
      }
    }
    there.forEach((id) => !this.#known.has(id) && this.met({ id, name: NOBODY, instance: '' }));
    return { left, unknown: [...this.#known.values()].some(({ name, gone }) => name === NOBODY && gone === null) };
  }

  show(list, me, isAlone) {
    const order = ({ gone, name }) => `${gone === null ? 0 : 1} ${name}`;
    const there = new Set([...this.#known.values()].filter(({ gone }) => gone === null).map(({ name }) => name));
    // Who has come back is not shown as gone too.
    const shown = [...this.#known.values()].filter(({ name, gone }) => gone === null || !there.has(name));
    const all = shown.sort((one, other) => order(one).localeCompare(order(other)));
    const create = () => make('li', {}, make('span', { className: 'dot' }), make('span'), make('span', { className: 'where' }));
    keyed(list, all, ({ id }) => id, create, (li, { id, name, instance, gone }) => {
      const [dot, who, where] = li.children;
      const isFar = isAlone && gone === null && instance !== me.instance;
      dot.className = `dot ${gone === null ? 'here' : ''}`;
      li.classList.toggle('far', isFar);
      who.className = gone === null ? '' : 'gone';
      write(who, id === me?.id ? `${name} (you)` : name);
      const place = [instance && `on ${instance}`, isFar && 'out of reach'].filter(Boolean).join(', ');
      write(where, gone === null ? place : `offline, last seen ${this.#clock(gone)}`);
    });
  }
}
