// What the Socket.IO scripts share: the official client.

import { Agent } from 'node:http';
import { io } from 'socket.io-client';
import { next, within } from './support.mjs';

/** How a client is told to connect: by `polling` or `websocket` alone, or by `upgrade` from one to the other. */
export function transports(way) {
  return way === 'upgrade' ? ['polling', 'websocket'] : [way];
}

/** A client of this URL, which may name a namespace behind it. What it receives is kept in `received`. */
export function client(url, way, options = {}) {
  const made = io(url, {
    transports: transports(way),
    forceNew: true,
    // Each request on a connection of its own, so that what stands in between may lead it anywhere.
    agent: new Agent({ keepAlive: false }),
    reconnectionDelay: 20,
    reconnectionDelayMax: 200,
    ...options,
  });
  made.received = [];
  made.onAny((...event) => {
    // An event that wants an answer ends with the function that gives it.
    made.received.push(event.filter((part) => typeof part !== 'function'));
  });
  return made;
}

/** A connected client. */
export async function connected(url, way, options) {
  const made = client(url, way, options);
  await within('connecting', new Promise((resolve, reject) => {
    made.once('connect', resolve);
    made.once('connect_error', reject);
  }));
  return made;
}

/** The answer to an event. */
export function answer(socket, ...event) {
  return within(`an answer to ${event[0]}`, socket.emitWithAck(...event));
}

/** Waits until a client has received so many events. */
export async function heard(socket, count) {
  while (socket.received.length < count) {
    await next({ once: (_, done) => socket.onAny(function once(...event) {
      socket.offAny(once);
      done(event);
    }) }, `event ${socket.received.length + 1} of ${count}`);
  }
  return socket.received;
}
