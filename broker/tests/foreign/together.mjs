// One client of several of one channel. It says on standard output what happens to it, a line of JSON each: what it
// hears, `{"subscribed":true}`, and `{"connecting":CODE}` at its end. On the publication "go" it publishes so many.

import { client, given, next, within } from './support.mjs';

const [url, channel, name, count] = given('URL', 'CHANNEL', 'NAME', 'COUNT');
const say = (line) => console.log(JSON.stringify(line));

const made = client(url);
const hears = made.newSubscription(channel);
hears.on('subscribed', () => say({ subscribed: true }));
hears.on('publication', ({ data }) => {
  say({ pub: { data } });
  if (data === 'go') {
    const messages = Array.from({ length: Number(count) }, (_, n) => ({ from: name, n }));
    within('publications', Promise.all(messages.map((message) => hears.publish(message))));
  }
});
hears.subscribe();
const connected = next(made, 'connected');
made.connect();
await connected;
const end = new Promise((resolve) => made.once('connecting', resolve));
const { code } = await end;
say({ connecting: code });
process.exit(0);
