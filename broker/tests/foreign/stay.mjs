// A client that stays while instances come and go behind its URL. It says on standard output what happens to it,
// a line each: `subscribed`, `connecting CODE`, `received DATA`; the publication "end" ends it.

import { client, given, next } from './support.mjs';

const [url, channel] = given('URL', 'CHANNEL');

const ann = client(url);
ann.on('connecting', (context) => {
  if (context.code !== 0) {
    console.log(`connecting ${context.code}`);
  }
});
const hears = ann.newSubscription(channel);
hears.on('subscribed', () => console.log('subscribed'));
hears.on('publication', (context) => {
  console.log(`received ${JSON.stringify(context.data)}`);
  if (context.data === 'end') {
    ann.disconnect();
  }
});
hears.subscribe();
const end = next(ann, 'disconnected');
ann.connect();
const { code } = await end;
process.exit(code === 0 ? 0 : 1);
