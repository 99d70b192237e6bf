// The board as it is drawn: notes that can be selected, and cursors over them.

import { $, keyed, make, write } from '/pages/dom.js';

/** Places are told in these units, however large the board is on a screen. */
export const WIDTH = 1600;
export const HEIGHT = 1000;

/** What of a cursor is always seen, in pixels. */
const EDGE = 14;

const NOTES = ['Idea', 'Sketch', 'Draft', 'Review', 'Build', 'Test', 'Measure', 'Ship', 'Listen', 'Mend', 'Rest', 'Next'];
const SVG = 'http://www.w3.org/2000/svg';

/** Black or white, whichever is read more easily on a colour ('#rrggbb'). */
export function inkOn(color) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? '#000' : '#fff';
}

function arrow() {
  const [svg, shape] = ['svg', 'path'].map((name) => document.createElementNS(SVG, name));
  svg.setAttribute('viewBox', '0 0 20 20');
  shape.setAttribute('d', 'M2 1l15 7-7 2-3 7z');
  shape.setAttribute('stroke', '#fff');
  svg.append(shape);
  return svg;
}

export class Field {
  element = $('field');

  /** `chosen` is called with a note that somebody here has picked. */
  constructor(chosen) {
    for (const name of NOTES) {
      const button = make('button', { type: 'button' }, make('span', {}, name), make('span', { className: 'by' }));
      button.dataset.note = name;
      button.addEventListener('click', () => chosen(name));
      $('notes').append(button);
    }
  }

  /** Where on the board a pointer is. */
  place({ clientX, clientY }) {
    const { left, top, width, height } = this.element.getBoundingClientRect();
    return { x: ((clientX - left) / width) * WIDTH, y: ((clientY - top) / height) * HEIGHT };
  }

  show({ all }) {
    for (const button of $('notes').children) {
      const by = all.filter(({ note }) => note === button.dataset.note);
      write(button.lastElementChild, by.map(({ name, isMe }) => (isMe ? 'you' : name)).join(', '));
      button.style.borderColor = by.at(0)?.color ?? '';
      button.setAttribute('aria-pressed', String(by.some(({ isMe }) => isMe)));
    }
    const { clientWidth, clientHeight } = this.element;
    const pointing = all.filter(({ cursor }) => cursor !== null);
    const create = ({ isMe }) => make('div', { className: isMe ? 'mine' : 'other' }, arrow(), make('span'));
    keyed($('cursors'), pointing, ({ key }) => key, create, (element, { name, color, cursor, isMe, isFar }) => {
      const [svg, label] = element.children;
      svg.style.fill = color;
      label.style.background = color;
      label.style.color = inkOn(color);
      write(label, isMe ? 'you' : name);
      element.classList.toggle('left', cursor.x > WIDTH * 0.8);
      element.classList.toggle('far', isFar);
      // At the edges what points there still shows.
      const [x, y] = [[cursor.x / WIDTH, clientWidth], [cursor.y / HEIGHT, clientHeight]].map(([part, size]) => Math.min(part * size, size - EDGE));
      element.style.transform = `translate(${x}px, ${y}px)`;
    });
  }
}
