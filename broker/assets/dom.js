// The few things that pages do with elements.

export const $ = (id) => document.getElementById(id);

/** An element; `options` are its properties, and what it holds are elements and texts: never HTML. */
export function make(tag, options = {}, ...inside) {
  const element = Object.assign(document.createElement(tag), options);
  element.append(...inside);
  return element;
}

/** Writes a text where it is another than before: what did not change is not drawn, or read aloud, again. */
export function write(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/**
 * Makes the children of `parent` those of `items`, in their order. A child stays the same element for as long as its
 * item's key is there, so that it keeps the focus, and nothing jumps.
 */
export function keyed(parent, items, key, create, update) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = before.get(name);
    before.delete(name);
    if (!child) {
      child = create(item);
      child.dataset.key = name;
    }
    update(child, item);
    if (child === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(child, place);
    }
  }
  before.forEach((child) => child.remove());
}
