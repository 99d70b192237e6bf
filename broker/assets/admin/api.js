// The server API, with the key of whoever looks.

import { api } from './settings.js';

/** Longer than the broker takes for an answer, even when it waits for instances that do not come back. */
const PATIENCE = 5000;

/** What the broker says of a backplane that is away, in the codes of the protocol. */
const NOT_NOW = 100;

/** The key is none of the broker's. */
export class WrongKey extends Error {}

/** Nothing, or nothing that is understood, came back. */
export class NoAnswer extends Error {}

/** The broker's own error. */
export class Refused extends Error {
  constructor({ code, message }) {
    super(message);
    this.isTemporary = code === NOT_NOW;
  }
}

/** The result of a method. */
export async function call(key, method, body = {}) {
  let answer;
  try {
    const response = await fetch(`${api}/${method}`, {
      method: 'POST',
      headers: { 'X-API-Key': key },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (response.status === 401) {
      throw new WrongKey();
    }
    answer = await response.json();
  } catch (error) {
    throw error instanceof WrongKey ? error : new NoAnswer(String(error));
  }
  if (answer.error) {
    throw new Refused(answer.error);
  }
  return answer.result;
}
