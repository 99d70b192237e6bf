// The last two minutes of messages a second, as two lines.

import { make, write } from '/pages/dom.js';
import { rate } from './show.js';

const POINTS = 60;
const WIDTH = 600;
const HEIGHT = 100;
const SVG = 'http://www.w3.org/2000/svg';

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
  return element;
}

/** The next of 1, 2, 3, 5, 10, 20 … that is not smaller: an axis that seldom changes. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 3, 5, 10].map((step) => step * power).find((step) => step >= value);
}

export class Chart {
  #points = [];
  #area = shape('path', { class: 'area' });
  #lines = { published: shape('path', { class: 'published' }), delivered: shape('path', { class: 'delivered' }) };
  #svg = shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' });
  #most = make('span', { className: 'most' });

  constructor(figure) {
    const grid = [0, 0.5, 1].map((part) => shape('path', { class: 'grid', d: `M0 ${part * HEIGHT}H${WIDTH}` }));
    this.#svg.append(...grid, this.#area, this.#lines.published, this.#lines.delivered);
    figure.append(this.#svg, this.#most, make('span', { className: 'past' }, '2 minutes ago'));
  }

  /** Another point; null for a moment of which nothing is known. */
  add(point) {
    this.#points = [...this.#points, point].slice(-POINTS);
    const known = this.#points.filter((one) => one !== null);
    const most = ceiling(Math.max(0, ...known.flatMap((one) => [one.published, one.delivered])));
    const x = (index) => (((index + POINTS - this.#points.length) * WIDTH) / (POINTS - 1)).toFixed(1);
    const y = (value) => (HEIGHT - (value / most) * HEIGHT).toFixed(1);
    const line = (run, name) => `M${run.map((index) => `${x(index)} ${y(this.#points[index][name])}`).join('L')}`;
    const below = (run) => `${line(run, 'delivered')}L${x(run.at(-1))} ${HEIGHT}L${x(run[0])} ${HEIGHT}Z`;
    const runs = this.#runs();
    Object.entries(this.#lines).forEach(([name, path]) => path.setAttribute('d', runs.map((run) => line(run, name)).join('')));
    this.#area.setAttribute('d', runs.map(below).join(''));
    write(this.#most, rate(most));
    const now = known.at(-1);
    const said = now ? `${rate(now.delivered)} delivered and ${rate(now.published)} published a second` : 'nothing yet';
    this.#svg.setAttribute('aria-label', `Messages: ${said}`);
  }

  /** The places of the points that are known, in pieces without a gap. */
  #runs() {
    const runs = [];
    this.#points.forEach((one, index) => {
      if (one !== null) {
        const run = this.#points[index - 1] ? runs.at(-1) : [];
        run.push(index);
        if (run.length === 1) {
          runs.push(run);
        }
      }
    });
    return runs;
  }
}
