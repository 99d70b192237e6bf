// A board: where everybody points, and what everybody has selected.

import { $, write } from '/pages/dom.js';
import { badge, relief, trouble } from '/pages/demo/demo.js';
import { Board } from './board.js';
import { Field, HEIGHT, WIDTH } from './field.js';
import { settings } from './settings.js';
import { group } from './people.js';

const KEPT = 'switchboard-board-name';
/** How far an arrow key moves the cursor, of WIDTH. */
const STEP = 20;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const WORDS = {
  connecting: ['connecting', 'warn'],
  joined: ['live', 'good'],
  idle: ['asleep until you move', ''],
  closed: ['not connected', ''],
};

/** Where somebody is who has not pointed anywhere: about the middle, so that not all of them are in one place. */
const somewhere = (size) => Math.round(size * (0.25 + Math.random() / 2));

let [board, place, note, isDrawing] = [null, { x: somewhere(WIDTH), y: somewhere(HEIGHT) }, '', false];

const field = new Field((chosen) => select(note === chosen ? '' : chosen));

/** What is selected is a text of ours: the note, and, so that others can show it, the instance that serves us. */
function select(chosen) {
  note = chosen;
  board?.select(`${note}@${board.instance ?? ''}`);
  draw();
}

/** As often as the screen is drawn, and no more. */
function draw() {
  if (!isDrawing) {
    isDrawing = true;
    requestAnimationFrame(() => {
      isDrawing = false;
      if (board) {
        const people = group(board, place, note);
        field.show(people);
        people.list($('people'));
      }
    });
  }
}

function move(x, y) {
  place = { x: Math.min(WIDTH, Math.max(0, Math.round(x))), y: Math.min(HEIGHT, Math.max(0, Math.round(y))) };
  board?.move(place.x, place.y);
  draw();
}

function status(now) {
  badge(...WORDS[now]);
  write($('place'), now === 'joined' ? `served by ${board.instance}` : '');
  if (now === 'joined') {
    trouble(null);
    select(note);
    board.move(place.x, place.y);
  } else if (now === 'connecting') {
    trouble('There is no connection. Trying again …');
  }
}

function alone(is) {
  if (board.status !== 'joined') {
    return;
  }
  if (is) {
    badge('cut off', 'warn');
    trouble(`${board.instance} has lost the other instances. People on ${board.instance} go on; the others stand still as they were last seen.`, 'warn');
  } else {
    badge(...WORDS.joined);
    relief('The instances are together again.');
  }
  draw();
}

function join(name, title) {
  const url = new URL(settings.path, location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  board = new Board(url.href, { board: title, name, color: $('color').value, token: $('token').value.trim() });
  board.on('status', status);
  board.on('alone', alone);
  board.on('members', draw);
  board.on('error', ({ message }) => trouble(`The broker refuses: ${message}.`));
}

$('door').addEventListener('submit', (event) => {
  event.preventDefault();
  const [name, title] = [$('name').value.trim(), $('board').value.trim()];
  if (name === '' || title === '') {
    return;
  }
  sessionStorage.setItem(KEPT, name);
  $('door').hidden = true;
  $('floor').hidden = false;
  $('leave').hidden = false;
  write($('title'), title);
  badge(...WORDS.connecting);
  join(name, title);
  $('title').focus();
});
$('leave').addEventListener('click', () => {
  board.close();
  board = null;
  note = '';
  trouble(null);
  badge(...WORDS.closed);
  write($('place'), '');
  $('door').hidden = false;
  $('floor').hidden = true;
  $('leave').hidden = true;
  $('board').focus();
});
field.element.addEventListener('pointermove', (event) => {
  const { x, y } = field.place(event);
  move(x, y);
});
field.element.addEventListener('pointerdown', (event) => {
  const { x, y } = field.place(event);
  move(x, y);
});
addEventListener('keydown', (event) => {
  if (!board || event.altKey || event.ctrlKey || event.metaKey) {
    return;
  }
  if (event.key === 'Escape') {
    select('');
  } else if (ARROWS[event.key]) {
    event.preventDefault();
    const [x, y] = ARROWS[event.key];
    const step = event.shiftKey ? STEP * 5 : STEP;
    move(place.x + x * step, place.y + y * step);
  }
});
addEventListener('resize', draw);

$('name').value = sessionStorage.getItem(KEPT) ?? '';
const hues = ['#c2410c', '#0f766e', '#6d28d9', '#be123c', '#1d4ed8', '#4d7c0f', '#a16207', '#0369a1'];
let isChosen = false;

/** Other names mostly mean other colours, unless people choose one. */
function suggest() {
  if (!isChosen) {
    const sum = [...$('name').value].reduce((sum, letter) => sum + letter.codePointAt(0), 0);
    $('color').value = hues[sum % hues.length];
  }
}

$('color').addEventListener('input', () => {
  isChosen = true;
});
$('name').addEventListener('input', suggest);
suggest();
