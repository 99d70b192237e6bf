// What the events of a conversation are called: as the broker has them from the start, or in its profile `chat`.
//
// Beside messages the pages tell each other who they are: `hello` (who else is here?), `here`, `bye`. To the profile these are
// words of somebody who is not typing.

/** How long an answer may take, in milliseconds. */
const PATIENCE = 8000;

async function answer(socket, ...event) {
  try {
    return await socket.timeout(PATIENCE).emitWithAck(...event);
  } catch {
    return { status: 'no answer' };
  }
}

/** The built-in events: what is forwarded to a room arrives under its own name. */
function builtIn(socket, heard) {
  const forwards = (event) => socket.on(event, (what) => heard(event, what));
  ['hello', 'here', 'bye', 'typing', 'message'].forEach(forwards);
  return {
    join: (room) => answer(socket, 'join', room),
    say: (room, what) => answer(socket, 'publish', room, 'message', { ...what, at: Date.now() }),
    tell: (room, event, me) => answer(socket, 'publish', room, event, me),
    type: (room, me) => socket.volatile.emit('publish', room, 'typing', me),
    part: (room, me) => socket.emit('publish', room, 'bye', me),
    members: (room) => answer(socket, 'presence', room),
  };
}

/** The profile `chat`: messages get their identity and time from the broker, and come back to whoever sent them. */
function ofProfile(socket, heard) {
  const stating = (room, says, { id, name, instance }) =>
    ({ conversationId: room, isTyping: says === 'typing', says, from: id, name, instance });
  socket.on('newMessage', ({ from, name, user, content, timestamp }) =>
    heard('message', { id: from, name: name ?? user ?? 'Somebody', text: content, at: timestamp }));
  socket.on('userTyping', ({ says, from, name, instance }) => heard(says, { id: from, name, instance }));
  return {
    join: (room) => answer(socket, 'joinConversation', { conversationId: room }),
    say: (room, { id, name, text }) => answer(socket, 'sendMessage', { conversationId: room, content: text, from: id, name }),
    tell: (room, says, me) => answer(socket, 'typing', stating(room, says, me)),
    type: (room, me) => socket.volatile.emit('typing', stating(room, 'typing', me)),
    part: (room, me) => socket.emit('typing', stating(room, 'bye', me)),
    members: (room) => answer(socket, 'getMembers', { conversationId: room }),
  };
}

/** What a page can say on this socket; `heard` is called with what others say, a word and who or what. */
export const talk = (socket, profile, heard) => (profile === 'chat' ? ofProfile : builtIn)(socket, heard);
