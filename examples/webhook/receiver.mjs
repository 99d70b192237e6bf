// A logic module in Node.js, without dependencies: the broker POSTs messages here, and carries out the reply. It answers hooks too.
//
//   WEBHOOK_SECRET=a-secret-of-at-least-32-characters PORT=7000 node examples/webhook/receiver.mjs
//
// and in the broker's configuration
//
//   logic:
//     modules:
//       - name: game
//         webhook: {url: "http://127.0.0.1:7000/messages", secret: a-secret-of-at-least-32-characters}
//         receives: [rpc, send]
//
// What it is asked as a hook it knows by its key `hook`, and the signature is the same:
//
//   hooks:
//     connect: {webhook: {url: "http://127.0.0.1:7000/hooks", secret: a-secret-of-at-least-32-characters}, instead_of_token: true}
//     subscribe: {webhook: {url: "http://127.0.0.1:7000/hooks", secret: a-secret-of-at-least-32-characters}}

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const secret = process.env.WEBHOOK_SECRET;
if (!secret) {
  console.error('give WEBHOOK_SECRET: the same as in the broker’s configuration');
  process.exit(1);
}

const OLDEST_SECONDS = 300;
const LARGEST_BODY = 16 * 1024 * 1024;
const REMEMBERED = 1000;

/** Whether the body comes from the broker, and not from long ago. */
function isGenuine(headers, body) {
  const timestamp = headers['x-switchboard-timestamp'] ?? '';
  const age = Math.abs(Date.now() / 1000 - Number(timestamp));
  if (!(age <= OLDEST_SECONDS)) return false;
  const expected = createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest();
  // There may be several signatures one day, with a space between them.
  return (headers['x-switchboard-signature'] ?? '').split(' ').some((signature) => {
    const [version, hex] = signature.split('=');
    const given = Buffer.from(hex ?? '', 'hex');
    return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
  });
}

/** What is to be done about one message. */
function handle({ client, user, rpc, data }) {
  switch (data?.do) {
    case 'add':
      return { data: { sum: data.numbers.reduce((sum, number) => sum + number, 0) } };
    case 'say':
      return { data: 'said', publish: [{ channel: data.channel, data: { text: data.text, by: user ?? client } }] };
    case 'leave':
      return { disconnect: [{ client }] };
    default:
      return rpc ? { reject: `I do not know how to ${data?.do}` } : {};
  }
}

/** Who has which ticket: a real program looks into its database. */
const tickets = new Map([['anns-ticket', 'ann'], ['bobs-ticket', 'bob']]);

/** Whether a client may do what it wants to. */
function decide({ hook, token, user, channel, data, disconnects }) {
  switch (hook) {
    case 'connect':
      if (!tickets.has(token)) return { disconnect: { code: 4501, reason: 'no such ticket' } };
      return { result: { user: tickets.get(token) } };
    case 'subscribe':
      if (channel === 'room:staff' && user !== 'ann') return { error: { code: 403, message: 'this room is for the staff' } };
      return {};
    case 'publish':
      if (typeof data?.text !== 'string') return { error: { code: 400, message: 'say it in words' } };
      return { result: { data: { text: data.text.replaceAll('darn', '****'), by: user } } };
    case 'disconnect':
      for (const gone of disconnects) console.log(`${gone.user} has gone: ${gone.reason}`);
      return {};
    default:
      return { error: { code: 404, message: 'nobody decides this here' } };
  }
}

// A delivery that was handled, and whose answer got lost, comes again under the same id: it gets the same answer.
const answered = new Map();

function answer(delivery, body) {
  const before = answered.get(delivery);
  if (before) return before;
  const asked = JSON.parse(body);
  const text = JSON.stringify(asked.hook ? decide(asked) : { replies: asked.messages.map(handle) });
  answered.set(delivery, text);
  if (answered.size > REMEMBERED) answered.delete(answered.keys().next().value);
  return text;
}

const server = createServer(async (request, response) => {
  const end = (status, text = '') => response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  try {
    const parts = [];
    let size = 0;
    for await (const part of request) {
      size += part.length;
      if (size > LARGEST_BODY) return end(413);
      parts.push(part);
    }
    const body = Buffer.concat(parts);
    if (request.method !== 'POST') return end(405);
    if (!isGenuine(request.headers, body)) return end(401);
    end(200, answer(request.headers['x-switchboard-delivery'], body));
  } catch (error) {
    console.error(error);
    end(500);
  }
});

// The broker closes connections that nobody uses after 4 seconds; whoever waits longer never closes one that is about to be used.
server.keepAliveTimeout = 10_000;
server.listen(Number(process.env.PORT ?? 7000), '127.0.0.1', () => {
  console.log(`listening on ${server.address().port}`);
});

// The first process of a container is not ended by a signal that it does not handle: its pod would wait for its grace to be over.
process.once('SIGTERM', () => process.exit());
