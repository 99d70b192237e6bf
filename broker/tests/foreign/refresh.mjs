// New tokens in time: the client asks its application for them, and neither connection nor subscription ends.

import assert from 'node:assert/strict';
import { connected, given, next, received, subscribed, until, within } from './support.mjs';

const [url, hastyUrl, channel, tokensJson, grantsJson] = given(
  'URL', 'URL_WITH_LITTLE_GRACE', 'CHANNEL', 'TOKENS', 'GRANTS',
);

// The first of each live for seconds, the last for minutes.
const [tokens, grants] = [JSON.parse(tokensJson), JSON.parse(grantsJson)];

/** A connection and a subscription that bring one token after the other. */
async function inTime() {
  const [ours, forChannel, trouble] = [[...tokens], [...grants], []];
  const ann = await connected(url, { token: ours.shift(), getToken: async () => ours.shift() });
  const hears = await subscribed(ann, channel, {
    token: forChannel.shift(),
    getToken: async () => forChannel.shift(),
  });
  for (const [emitter, event] of [[ann, 'error'], [ann, 'connecting'], [hears, 'error'], [hears, 'subscribing']]) {
    emitter.on(event, (context) => trouble.push([event, context]));
  }
  await within('all tokens are asked for', until(() => ours.length === 0 && forChannel.length === 0));
  // Answered after the refreshes, which were sent before.
  await hears.publish('still here');
  await received(hears, ['still here']);
  assert.deepEqual([ann.state, hears.state, trouble], ['connected', 'subscribed', []]);
  ann.disconnect();
}

/** An application that has no token in time loses the subscription, not the connection, and gets it again. */
async function tooLate() {
  const [answers, trouble] = [['none', grants.at(-1)], []];
  const bob = await connected(hastyUrl, { token: tokens.at(-1) });
  bob.on('connecting', (context) => trouble.push(context));
  const hears = await subscribed(bob, channel, {
    token: grants[0],
    getToken: async () => {
      const answer = answers.shift();
      if (answer === 'none') {
        throw new Error('not now');
      }
      return answer;
    },
  });
  const [lost, again] = [next(hears, 'subscribing'), next(hears, 'subscribed')];
  assert.equal((await lost).code, 2501);
  await again;
  await hears.publish('back');
  await received(hears, ['back']);
  assert.deepEqual([bob.state, answers, trouble], ['connected', [], []]);
  bob.disconnect();
}

await Promise.all([inTime(), tooLate()]);
