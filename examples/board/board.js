// A client of Switchboard's boards without dependencies, for browsers and for Node.js from version 22 on.
// The protocol is described byte by byte in docs/presence-protocol.md.
//
//   const board = new Board('wss://example.com/presence', { board: 'plan', name: 'Ann', color: '#e04010' });
//   board.on('members', (members) => draw(members));
//   addEventListener('pointermove', (event) => board.move(event.clientX, event.clientY));
//
// It connects and joins by itself, comes back after a lost connection, and joins again. Events, with what they bring:
//
//   members       a Map of everybody on the board by key; each time something of it has changed
//   joined, left  one member that came, or went
//   moved         a member whose cursor moved: member.cursor is { x, y }, or null when it is not on the board
//   selected      a member whose selection changed: member.selection
//   alone         whether the instance that serves this client is cut off from the others: true, and false when that is
//                 over. Meanwhile the board goes on among those that it serves, whose members are `isNear`; the
//                 others are as they were last seen
//   announcement  { channel, data }: the channel is empty when it is for everybody
//   status        'connecting', 'joined', 'idle' (nothing was done for long: it joins again by itself when something is)
//                 or 'closed'
//   error         { code, message }: something was refused
//
// A member is { key, user, name, color, cursor, selection, isMe, isNear }.

const PROTOCOL = 'switchboard-board.v1';

// Pauses between attempts, in milliseconds: doubled each time, and anything from half of it to all of it.
const SHORTEST_PAUSE = 200;
const LONGEST_PAUSE = 20_000;

// A client that the broker sends nothing at all to, not even a ping, has lost its connection. The broker pings a client
// that says nothing, every 25 seconds unless it is configured otherwise; see `silence` of the options.
const SILENCE = 60_000;

const IDLE = 1;
const TEMPORARY = new Set([100, 106, 111]);

export class Board {
  #url;
  #options;
  #socket = null;
  #listeners = new Map();
  #status = 'closed';
  #pause = SHORTEST_PAUSE;
  #timer = null;
  #watch = null;
  #order = null;
  #me = null;
  #origin = null;
  #place = undefined;
  #told = undefined;
  #selection = '';
  #moving = null;
  #every = 1000 / 30;
  #last = 0;

  /** Everybody on the board, by key. */
  members = new Map();

  /** The instance that serves this client, once it has joined. */
  instance = null;

  /** Whether that instance is cut off from the others. */
  alone = false;

  /**
   * Options: board, name, color ('#rrggbb'), user, token and pass, which may be functions that give one, also later
   * (a promise); WebSocket, another implementation; silence, in milliseconds.
   */
  constructor(url, options) {
    this.#url = url;
    this.#options = { user: '', color: '#888888', token: '', pass: '', silence: SILENCE, ...options };
    this.#connect();
  }

  /** 'connecting', 'joined', 'idle' or 'closed'. */
  get status() {
    return this.#status;
  }

  /** Calls `listener` with each event of this name; the function that is given back ends that. */
  on(event, listener) {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** The cursor is here now. May be called as often as one likes. */
  move(x, y) {
    this.#place = { x, y };
    this.#tellPlace();
  }

  /** The cursor has left the board. */
  hide() {
    this.#place = null;
    this.#tellPlace();
  }

  /** This is selected now; an empty text for nothing. */
  select(selection) {
    this.#selection = selection;
    if (this.#status === 'joined') {
      this.#send(bytes(0x04, selection));
    } else {
      this.#wake();
    }
  }

  /** Leaves, and does not come back. */
  close() {
    clearTimeout(this.#timer);
    this.#become('closed');
    if (this.#socket?.readyState === 1) {
      this.#socket.send(bytes(0x02));
    }
    this.#socket?.close(1000);
    this.#forget();
  }

  #emit(event, what) {
    this.#listeners.get(event)?.forEach((listener) => listener(what));
  }

  #become(status) {
    if (this.#status !== status) {
      this.#status = status;
      this.#emit('status', status);
    }
  }

  #stand(alone) {
    if (this.alone !== alone) {
      this.alone = alone;
      this.#emit('alone', alone);
    }
  }

  #send(message) {
    if (this.#socket?.readyState === 1) {
      this.#socket.send(message);
    }
  }

  #connect() {
    this.#become('connecting');
    const WebSocket = this.#options.WebSocket ?? globalThis.WebSocket;
    const socket = new WebSocket(this.#url, PROTOCOL);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    this.#order = null;
    this.#watchFor(socket);
    socket.addEventListener('open', () => this.#join(socket));
    socket.addEventListener('message', (event) => this.#receive(socket, event.data));
    // A close follows.
    socket.addEventListener('error', () => {});
    socket.addEventListener('close', ({ code, reason }) => this.#closed(socket, code, reason));
  }

  /** The connection counts as lost when nothing has come for too long. */
  #watchFor(socket) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      this.#closed(socket, 1006, 'nothing has come for too long');
      socket.close();
    }, this.#options.silence);
  }

  #closed(socket, code, message) {
    if (this.#socket !== socket) {
      return;
    }
    this.#forget();
    if (this.#status === 'closed') {
      return;
    }
    // What the broker says with its codes: from 3500 on, and for what the client did wrong, it stays away.
    if ((code >= 3500 && code < 5000) || [1002, 1007, 1009].includes(code)) {
      this.#emit('error', { code, message });
      this.#become('closed');
      return;
    }
    this.#become('connecting');
    this.#again(() => this.#connect());
  }

  #again(action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, this.#pause * (0.5 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }

  /** Nothing is known of a board that nothing is heard of. */
  #forget() {
    clearTimeout(this.#watch);
    clearTimeout(this.#moving);
    [this.#socket, this.#moving, this.#me, this.#told] = [null, null, null, undefined];
    this.#stand(false);
    if (this.members.size > 0) {
      this.members.clear();
      this.#emit('members', this.members);
    }
  }

  async #join(socket) {
    const { board, user, name, color } = this.#options;
    const given = (what) => (typeof what === 'function' ? what() : what);
    const [token, pass] = await Promise.all([given(this.#options.token), given(this.#options.pass)]);
    if (this.#socket === socket && socket.readyState === 1) {
      const rgb = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) || 0);
      socket.send(bytes(0x01, [board], [user], [name], rgb, [token], [pass]));
    }
  }

  /** Whoever does something again after a long time is on the board again. */
  #wake() {
    if (this.#status === 'idle' && this.#socket) {
      this.#become('connecting');
      this.#join(this.#socket);
    }
  }

  /** The newest place goes out as soon as the broker would tell others of it. */
  #tellPlace() {
    if (this.#status !== 'joined') {
      return this.#wake();
    }
    if (this.#moving === null) {
      const wait = Math.max(0, this.#last + this.#every - Date.now());
      this.#moving = setTimeout(() => {
        this.#moving = null;
        if (this.#status === 'joined' && this.#place !== this.#told) {
          [this.#told, this.#last] = [this.#place, Date.now()];
          this.#send(bytes(0x03, ...(this.#place ? [coordinate(this.#place.x), coordinate(this.#place.y)] : [])));
        }
      }, wait);
    }
  }

  #receive(socket, data) {
    if (this.#socket !== socket || typeof data === 'string') {
      return;
    }
    this.#watchFor(socket);
    const message = new Uint8Array(data);
    const read = (unpacked) => {
      if (this.#socket === socket) {
        this.#read(new Reader(unpacked));
      }
    };
    // Unpacking takes a moment: what comes meanwhile waits for its turn.
    if (message[0] !== 0x8a && this.#order === null) {
      return read(message);
    }
    const before = this.#order;
    const turn = (async () => {
      const unpacked = message[0] === 0x8a ? await inflate(message.subarray(1)) : message;
      await before;
      read(unpacked);
    })();
    this.#order = turn;
    turn.catch((error) => this.#emit('error', { code: 0, message: String(error) })).finally(() => {
      if (this.#order === turn) {
        this.#order = null;
      }
    });
  }

  #read(reader) {
    switch (reader.byte()) {
      case 0x81: return this.#welcome(reader);
      case 0x82: return this.#news(reader);
      case 0x83: return this.#roster(reader);
      case 0x84: return this.#keep(reader.origin(), reader);
      case 0x85: return this.#remove(`${reader.origin()}:${reader.number()}`);
      case 0x86: return this.#emit('announcement', { channel: reader.text(), data: JSON.parse(reader.rest()) });
      case 0x87: return this.#refused(reader.number(), reader.rest());
      case 0x88: return this.#left(reader.number(), reader.rest());
      case 0x89: return this.#send(bytes(0x05));
      case 0x8b: return this.#stand(reader.byte() === 1);
      // A kind that is not known.
      default:
    }
  }

  #welcome(reader) {
    const number = reader.number();
    this.#origin = reader.origin();
    this.#me = `${this.#origin}:${number}`;
    this.instance = reader.text();
    this.#every = 1000 / reader.number();
    reader.number();
    this.members.clear();
    for (let rosters = reader.number(); rosters > 0; rosters -= 1) {
      const origin = reader.origin();
      for (let count = reader.number(); count > 0; count -= 1) {
        this.#member(origin, reader);
      }
    }
    this.#pause = SHORTEST_PAUSE;
    // It is said right behind if it is not so.
    this.#stand(false);
    this.#become('joined');
    this.#emit('members', this.members);
    this.#told = undefined;
    if (this.#place !== undefined) {
      this.#tellPlace();
    }
    if (this.#selection !== '') {
      this.select(this.#selection);
    }
  }

  #news(reader) {
    const origin = reader.origin();
    while (!reader.isAtEnd()) {
      const tag = reader.number();
      const what = tag % 4;
      const key = `${origin}:${Math.floor(tag / 4)}`;
      const place = what === 0 ? { x: reader.coordinate(), y: reader.coordinate() } : null;
      const selection = what === 2 ? reader.text() : null;
      const member = this.members.get(key);
      if (!member) {
        continue;
      }
      if (what === 3) {
        this.#remove(key);
      } else if (what === 2) {
        member.selection = selection;
        this.#emit('selected', member);
      } else {
        member.cursor = place;
        this.#emit('moved', member);
      }
    }
    this.#emit('members', this.members);
  }

  #roster(reader) {
    const origin = reader.origin();
    const gone = new Set([...this.members.keys()].filter((key) => key.startsWith(`${origin}:`)));
    const came = [];
    for (let count = reader.number(); count > 0; count -= 1) {
      const [member, isNew] = this.#member(origin, reader, true);
      gone.delete(member.key);
      if (isNew) {
        came.push(member);
      }
    }
    gone.forEach((key) => this.#remove(key));
    came.forEach((member) => this.#emit('joined', member));
    this.#emit('members', this.members);
  }

  #keep(origin, reader) {
    const [member, isNew] = this.#member(origin, reader);
    if (isNew) {
      this.#emit('joined', member);
    }
    this.#emit('members', this.members);
  }

  /** Reads a member and keeps it, with what is known of it or as it is `anew`; and whether it is a new one. */
  #member(origin, reader, anew = false) {
    const key = `${origin}:${reader.number()}`;
    const flags = reader.byte();
    const [user, name, color] = [reader.text(), reader.text(), reader.color()];
    const known = this.members.get(key);
    const member = known ?? { key, cursor: null, selection: '' };
    Object.assign(member, { user, name, color, isMe: key === this.#me, isNear: origin === this.#origin });
    if (anew) {
      [member.cursor, member.selection] = [null, ''];
    }
    if (flags & 1) {
      member.cursor = { x: reader.coordinate(), y: reader.coordinate() };
    }
    if (flags & 2) {
      member.selection = reader.text();
    }
    this.members.set(key, member);
    return [member, !known];
  }

  #remove(key) {
    const member = this.members.get(key);
    if (member) {
      this.members.delete(key);
      this.#emit('left', member);
      this.#emit('members', this.members);
    }
  }

  #refused(code, message) {
    this.#emit('error', { code, message });
    if (this.#status !== 'connecting') {
      return;
    }
    // It was the join.
    if (TEMPORARY.has(code)) {
      this.#again(() => this.#socket && this.#join(this.#socket));
    } else {
      this.close();
    }
  }

  #left(code, message) {
    this.members.clear();
    this.#emit('members', this.members);
    if (code === IDLE) {
      this.#become('idle');
    } else if (code >= 2500) {
      this.#become('connecting');
      this.#join(this.#socket);
    } else {
      this.#emit('error', { code, message });
      this.close();
    }
  }
}

/** A coordinate in quarters, as a number: not negative ones are even, others odd. */
function coordinate(units) {
  const quarters = Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.round(units * 4))) || 0;
  return quarters < 0 ? -quarters * 2 - 1 : quarters * 2;
}

/** A message: its kind; then numbers, texts with their length ([text]), the rest (text), and single bytes ([a, b, c]). */
function bytes(kind, ...parts) {
  const out = [kind];
  const number = (value) => {
    for (; value > 0x7f; value = Math.floor(value / 128)) {
      out.push((value % 128) + 128);
    }
    out.push(value);
  };
  for (const part of parts) {
    if (typeof part === 'number') {
      number(part);
    } else if (typeof part === 'string') {
      out.push(...new TextEncoder().encode(part));
    } else if (part.length === 1) {
      const text = new TextEncoder().encode(part[0]);
      number(text.length);
      out.push(...text);
    } else {
      out.push(...part);
    }
  }
  return new Uint8Array(out);
}

async function inflate(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The rest of a message. */
class Reader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  isAtEnd() {
    return this.#at >= this.#bytes.length;
  }

  byte() {
    if (this.isAtEnd()) {
      throw new RangeError('a message that ends too early');
    }
    return this.#bytes[this.#at++];
  }

  number() {
    let [value, factor, byte] = [0, 1, 0];
    do {
      byte = this.byte();
      value += (byte % 128) * factor;
      factor *= 128;
    } while (byte > 127);
    return value;
  }

  coordinate() {
    const number = this.number();
    return (number % 2 === 0 ? number / 2 : -(number + 1) / 2) / 4;
  }

  #take(length) {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text() {
    const length = this.number();
    return new TextDecoder().decode(this.#take(length));
  }

  rest() {
    return new TextDecoder().decode(this.#take(this.#bytes.length - this.#at));
  }

  color() {
    return `#${[...this.#take(3)].map((part) => part.toString(16).padStart(2, '0')).join('')}`;
  }

  origin() {
    return this.#take(6).reduceRight((value, byte) => value * 256 + byte, 0);
  }
}
