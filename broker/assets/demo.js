// What the demonstrations share: what is said above them.

import { $, write } from '/pages/dom.js';

/** How long good news stays, in milliseconds. */
const SHOWN = 6000;
let timer = null;

/** Shows what is wrong; nothing when nothing is. `kind` is 'bad' or 'warn'. */
export function trouble(text, kind = 'bad') {
  clearTimeout(timer);
  const notice = $('trouble');
  notice.className = `notice ${kind}`;
  notice.hidden = text === null;
  write(notice, text ?? '');
}

/** Shows for a while that all is well again. */
export function relief(text) {
  trouble(text, 'good');
  timer = setTimeout(() => trouble(null), SHOWN);
}

/** The word beside the title, in one of its colours. */
export function badge(text, colour) {
  write($('state'), text);
  $('state').className = `badge ${colour}`;
}
