// A page that only listens, with the `EventSource` that browsers have. It says on standard output what it hears, a
// line each: `subscribed CHANNELS`, `received DATA`, `disconnect CODE`; the publication "end" ends it.

import { EventSource } from 'eventsource';

import { given } from './support.mjs';

const [url] = given('URL');

const source = new EventSource(url);
source.addEventListener('message', ({ data }) => {
  const push = JSON.parse(data);
  if (push.connect) {
    console.log(`subscribed ${Object.keys(push.connect.subs).join(' ')}`);
  } else if (push.pub) {
    console.log(`received ${JSON.stringify(push.pub.data)}`);
    if (push.pub.data === 'end') {
      source.close();
    }
  } else if (push.disconnect) {
    console.log(`disconnect ${push.disconnect.code}`);
  }
});
source.addEventListener('error', (error) => {
  // It comes back by itself, unless the answer was no stream.
  if (source.readyState === EventSource.CLOSED) {
    console.error(error);
    process.exit(1);
  }
});
