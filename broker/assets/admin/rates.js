// Counters become rates. Instances say what they have counted since their start, each at times of its own.

const COUNTERS = { published: 'num_published', delivered: 'num_delivered', failed: 'num_failed' };

/** Two records that are closer than this, in milliseconds, tell too little. */
const CLOSE = 400;

export class Rates {
  #seen = new Map();

  /** Takes what the instances say now; their rates, by uid: null for one that has not been seen twice. */
  take(nodes) {
    const seen = new Map();
    for (const node of nodes) {
      const before = this.#seen.get(node.uid);
      seen.set(node.uid, before ? newer(before, node) : { node, rates: null });
    }
    this.#seen = seen;
    return new Map([...seen].map(([uid, { rates }]) => [uid, rates]));
  }
}

/** What is known of an instance after another record, which may be an older one: several instances answer. */
function newer(before, node) {
  const elapsed = node.uptime_ms - before.node.uptime_ms;
  if (elapsed < CLOSE) {
    return before;
  }
  const rate = ([name, counter]) => [name, ((node[counter] - before.node[counter]) / elapsed) * 1000];
  return { node, rates: Object.fromEntries(Object.entries(COUNTERS).map(rate)) };
}

/** The rates of all that are known; null while none is. */
export function total(rates) {
  const known = [...rates.values()].filter((one) => one !== null);
  const sum = (name) => known.reduce((all, one) => all + one[name], 0);
  return known.length === 0 ? null : Object.fromEntries(Object.keys(COUNTERS).map((name) => [name, sum(name)]));
}
