// Two clients in one channel: one publishes, both receive.
//
//   npm install --prefix examples
//   SWITCHBOARD_AUTH__ANONYMOUS=true broker run
//   node examples/first-message.mjs [ws://127.0.0.1:8000/connection/websocket]

import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

const url = process.argv[2] ?? 'ws://127.0.0.1:8000/connection/websocket';

async function join(name, expected) {
  // In a browser leave `websocket` out: it has its own.
  const client = new Centrifuge(url, { websocket: WebSocket });
  client.on('connected', ({ client: id }) => console.log(`${name} is connected as ${id}`));
  client.on('connecting', ({ code, reason }) => code && console.log(`${name} connects again: ${reason} (${code})`));
  client.on('disconnected', ({ code, reason }) => console.log(`${name} is gone: ${reason} (${code})`));

  const lobby = client.newSubscription('lobby');
  const received = new Promise((resolve) => {
    lobby.on('publication', ({ data, info }) => {
      console.log(`${name} received ${JSON.stringify(data)} from ${info ? info.client : 'the server API'}`);
      if (data.text === expected) resolve();
    });
  });
  lobby.subscribe();
  client.connect();
  await lobby.ready();
  return { client, lobby, received };
}

const deadline = setTimeout(() => {
  console.error(`No message within 10 s. Is a broker at ${url}, and does it let clients in without a token?`);
  process.exit(1);
}, 10_000);

const text = 'hello';
const alice = await join('alice', text);
const bob = await join('bob', text);

await alice.lobby.publish({ text });
await Promise.all([alice.received, bob.received]);

const { numClients } = await bob.lobby.presenceStats();
console.log(`${numClients} clients are in the lobby`);

clearTimeout(deadline);
alice.client.disconnect();
bob.client.disconnect();
