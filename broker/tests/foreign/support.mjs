// What the scripts share: the official client, and waiting with a deadline.

import assert from 'node:assert/strict';
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

// Longer than anything takes on a busy machine; only a failing script reaches it.
const PATIENCE = 30_000;

// A script that waits for nothing more must end even if something was forgotten.
process.on('unhandledRejection', fail);

function fail(error) {
  console.error(error);
  process.exit(1);
}

/** A client of this URL that is not connected yet. */
export function client(url, options = {}) {
  const made = new Centrifuge(url, {
    websocket: WebSocket,
    minReconnectDelay: 20,
    maxReconnectDelay: 200,
    ...options,
  });
  return made;
}

/** The outcome of `promise`, or the end of the script with what did not happen. */
export function within(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${PATIENCE} ms`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** What comes with the next event of this name. */
export function next(emitter, event) {
  return within(event, new Promise((resolve) => emitter.once(event, resolve)));
}

/** Waits until something is so. */
export async function until(isSo) {
  while (!isSo()) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A connected client. */
export async function connected(url, options) {
  const made = client(url, options);
  const context = next(made, 'connected');
  made.connect();
  await context;
  return made;
}

/** A subscription that is in force, with the publications it got so far in `received`. */
export async function subscribed(of, channel, options) {
  const subscription = of.newSubscription(channel, options);
  subscription.received = [];
  subscription.on('publication', (context) => subscription.received.push(context.data));
  const context = next(subscription, 'subscribed');
  subscription.subscribe();
  await context;
  return subscription;
}

/** Waits until a subscription has received this, exactly. */
export async function received(subscription, expected) {
  await within(`receiving ${JSON.stringify(expected)}`, (async () => {
    while (subscription.received.length < expected.length) {
      await new Promise((resolve) => subscription.once('publication', resolve));
    }
  })());
  assert.deepEqual(subscription.received, expected);
}

/** The code of the error that `promise` fails with. */
export async function refused(promise) {
  const outcome = await within('a refusal', promise.then(() => 'done', (error) => error));
  assert.notEqual(outcome, 'done', 'it was not refused');
  return outcome.code;
}

/** The arguments of the script, which must all be given. */
export function given(...names) {
  const values = process.argv.slice(2);
  if (values.length !== names.length) {
    fail(`usage: node ${process.argv[1]} ${names.join(' ')}`);
  }
  return values;
}
