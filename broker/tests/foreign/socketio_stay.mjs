// A client of Socket.IO that stays while instances come and go behind its URL. It says on standard output what happens to
// it, a line each: `joined`, `disconnect REASON`, `received DATA`; the event "end" ends it.

import { given } from './support.mjs';
import { answer, client } from './socketio_support.mjs';

const [url, way, room] = given('URL', 'WAY', 'ROOM');

const ann = client(url, way);
ann.on('connect', async () => {
  await answer(ann, 'join', room);
  console.log('joined');
});
ann.on('disconnect', (reason) => console.log(`disconnect ${reason}`));
ann.onAny((...event) => {
  console.log(`received ${JSON.stringify(event)}`);
  if (event[0] === 'end') {
    process.exit(0);
  }
});
