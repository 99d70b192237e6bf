// Who is on the board, and who is served by which instance.

import { keyed, make, write } from '/pages/dom.js';

/** What somebody has selected, as they tell it: the note, and the instance that serves them. */
function read(selection) {
  const at = selection.lastIndexOf('@');
  return at < 0 ? { note: selection, instance: '' } : { note: selection.slice(0, at), instance: selection.slice(at + 1) };
}

/** Everybody on the board; this one is where they are themselves, without waiting for the broker. */
export function group(board, place, note) {
  const all = [...board.members.values()].map((member) => {
    const mine = { cursor: place, note, instance: board.instance ?? '' };
    return { ...member, ...read(member.selection), ...(member.isMe && mine), isFar: board.alone && !member.isNear };
  });
  all.sort((one, other) => one.name.localeCompare(other.name) || one.key.localeCompare(other.key));
  return { all, list: (element) => list(element, all) };
}

function list(element, all) {
  const create = () => make('li', {}, make('span', { className: 'dot' }), make('span'), make('span', { className: 'where' }));
  keyed(element, all, ({ key }) => key, create, (li, { name, color, instance, note, isMe, isFar }) => {
    const [dot, who, where] = li.children;
    dot.style.background = color;
    li.classList.toggle('far', isFar);
    write(who, isMe ? `${name} (you)` : name);
    write(where, [instance && `on ${instance}`, isFar && 'out of reach', note && `has ${note}`].filter(Boolean).join(', '));
  });
}
